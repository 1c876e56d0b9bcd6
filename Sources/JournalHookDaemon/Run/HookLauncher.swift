internal import Glibc
internal import HookFiles
internal import Hooks
internal import Processes
internal import Runs
internal import Systemd
internal import TrustedFiles

/// Creates the processes of one attempt, one after the other: those of `ExecCondition=`, then that of the hook.
struct HookLauncher: ~Copyable {
  private let run: Run
  private let hook: LoadedHook
  private let reporter: Reporter
  private var account: Account?
  private var stateDirectory = ""
  /// The hook's own program, until its process exists.
  private var program: TrustedFile?
  /// How many commands of `ExecCondition=` have been executed.
  private var conditionsBegun = 0

  init(_ run: Run, _ opened: consuming OpenedHook, reporter: Reporter) {
    self.run = run
    self.reporter = reporter
    hook = opened.hook
    program = opened.takeProgram()
  }

  /// Looks up who the hook runs as, and makes its state directory in that of the ledger.
  mutating func prepare(stateDirectory ledger: String) throws {
    let definition = hook.definition
    account = isForOther ? try Account.find(user: definition.user, group: definition.group) : .own
    stateDirectory = try RunEnvironment.stateDirectory(of: run.hook, in: ledger, owner: account)
  }

  private var isForOther: Bool { hook.definition.user != nil || hook.definition.group != nil }

  /// Creates the next process.
  ///
  /// - Returns: nil if the last one was created before.
  mutating func launchNext(
    _ output: RunOutput?, _ spawn: (SpawnRequest) throws -> SpawnedProcess?
  ) throws -> SpawnedProcess? {
    if conditionsBegun < hook.conditionPrograms.count {
      let program = try hook.conditionPrograms[conditionsBegun].open()
      let arguments = hook.arguments(ofCondition: conditionsBegun, for: run.event)
      let process = try launch(program, arguments, output, spawn)
      conditionsBegun += 1
      return process
    }
    guard let program = program.take() else { return nil }
    let process = try launch(program, hook.arguments(for: run.event), output, spawn)
    output?.closeWritingEnd()
    return process
  }

  /// Gives up the program that was not executed.
  mutating func close() { program = nil }

  private func launch(
    _ program: borrowing TrustedFile, _ arguments: [String], _ output: RunOutput?,
    _ spawn: (SpawnRequest) throws -> SpawnedProcess?
  ) throws -> SpawnedProcess? {
    let copy = try copy(of: program)
    defer { if let copy { _ = Glibc.close(copy) } }
    let definition = hook.definition
    let directory = try workingDirectory()
    defer { if let directory { _ = Glibc.close(directory) } }
    let input = try RunEnvironment.standardInput(for: run.event)
    let writing = output?.writingEnd ?? -1
    var request = SpawnRequest(
      executable: copy ?? program.descriptor.rawValue, arguments: arguments, standardInput: input.rawValue,
      standardOutput: writing, standardError: writing)
    if copy != nil { request.original = program.descriptor.rawValue }
    output?.script = arguments.first
    request.environment = RunEnvironment.variables(
      for: run, hook: hook, account: account, stateDirectory: stateDirectory)
    request.workingDirectory = directory
    if let umask = definition.umask { request.umask = umask }
    request.nice = definition.nice
    if isForOther, geteuid() == 0, let account {
      request.identity = account.identity
      request.noNewPrivileges = account.identity.user != 0
    }
    return try spawn(request)
  }

  private func copy(of program: borrowing TrustedFile) throws -> CInt? {
    do {
      return try SealedCopy.make(of: program)
    } catch let error as SystemError where SealedCopy.isImpossible(error) {
      reporter.sayOnce(
        "Scripts are run from their files, since memory cannot hold copies of them: \(error). If a script is overwritten while "
          + "it runs, its shell goes on in the new text. Allow memfd_create(2), and set vm.memfd_noexec to less than 2.",
        .trouble, priority: .warning)
      return nil
    }
  }

  /// Opens the directory that the script starts in: the root, unless the hook says otherwise, as with services.
  private func workingDirectory() throws(SystemError) -> CInt? {
    let wanted = hook.definition.workingDirectory
    let named = wanted?.path.expand(for: run.event) ?? "/"
    let path = named == "~" ? account?.home ?? "/" : named
    do throws(SystemError) {
      return try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY).release()
    } catch {
      if wanted?.mayBeMissing == true { return nil }
      throw SystemError("enter WorkingDirectory=", path: path, code: error.code)
    }
  }
}
