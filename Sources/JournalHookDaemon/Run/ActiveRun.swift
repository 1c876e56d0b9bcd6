internal import Glibc
internal import HookFiles
internal import Hooks
internal import Processes
internal import RunLedger
internal import Runs
internal import Systemd
internal import TrustedFiles

/// An attempt at a run: its processes, one after the other, and what is left of them.
final class ActiveRun {
  let run: Run
  let lane: RunQueue.Lane
  let hook: LoadedHook
  var machine: RunMachine
  var container: RunContainer
  private(set) var output: RunOutput?
  var timer: EventSource?
  var emptinessTimer: EventSource?
  var exitSource: EventSource?
  private let reporter: Reporter
  private let account: Account?
  private let stateDirectory: String
  /// The hook's own program, until its process exists.
  private var program: TrustedFile?
  /// How many commands of `ExecCondition=` have been executed.
  private var conditionsBegun = 0
  private var process: SpawnedProcess?
  private var hasEnded = false

  /// Prepares an attempt.
  init(
    _ run: Run, _ lane: RunQueue.Lane, _ opened: consuming OpenedHook, _ container: RunContainer, ledger: Ledger,
    loop: EventLoop, reporter: Reporter
  ) throws {
    self.run = run
    self.lane = lane
    self.container = container
    self.reporter = reporter
    hook = opened.hook
    program = opened.takeProgram()
    let definition = hook.definition
    machine = RunMachine(
      timeout: definition.timeout.isInfinite ? nil : definition.timeout.microseconds,
      grace: definition.grace.isInfinite ? nil : definition.grace.microseconds,
      successExitStatus: definition.successExitStatus, conditions: hook.conditionPrograms.count)
    account = ActiveRun.isOther(definition) ? try Account.find(user: definition.user, group: definition.group) : .own
    stateDirectory = try RunEnvironment.stateDirectory(of: run.hook, in: ledger.stateDirectory, owner: account)
    output = try RunOutput(of: run, loop: loop, reporter: reporter)
  }

  private static func isOther(_ definition: HookDefinition) -> Bool {
    definition.user != nil || definition.group != nil
  }

  /// The descriptor that becomes readable when the process ends that was created last.
  var pidfd: CInt { process?.pidfd.rawValue ?? -1 }

  /// That process's number, while nobody has waited for it.
  var livingMain: ProcessID? { hasEnded ? nil : process?.pid }

  /// Creates the next process: of a condition, or in the end of the hook itself.
  func spawnNext() throws {
    if conditionsBegun < hook.conditionPrograms.count {
      let program = try hook.conditionPrograms[conditionsBegun].open()
      try spawn(program, hook.arguments(ofCondition: conditionsBegun, for: run.event))
      conditionsBegun += 1
    } else {
      guard let program = program.take() else { return }
      try spawn(program, hook.arguments(for: run.event))
      output?.closeWritingEnd()
    }
    hasEnded = false
  }

  private func spawn(_ program: borrowing TrustedFile, _ arguments: [String]) throws {
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
    if ActiveRun.isOther(definition), geteuid() == 0, let account {
      request.identity = account.identity
      request.noNewPrivileges = account.identity.user != 0
    }
    process = try container.spawn(request)
  }

  private func copy(of program: borrowing TrustedFile) throws -> CInt? {
    do {
      return try SealedCopy.make(of: program)
    } catch let error as SystemError where SealedCopy.isImpossible(error) {
      reporter.sayOnce(
        "Scripts are run from their files, as there can be no copies in memory: \(error). A script that is overwritten while it "
          + "runs goes on in the new text. Allow memfd_create(2), and set vm.memfd_noexec to less than 2.", .trouble,
        priority: .warning)
      return nil
    }
  }

  /// Opens the folder that the script starts in: the root, unless the hook says otherwise, as with services.
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

  /// Waits for the process that was created last, which has ended; nil when it has not.
  func reap() -> RunMachine.Exit? {
    guard let pid = livingMain else { return nil }
    var status: CInt = 0
    guard unsafe waitpid(pid, &status, WNOHANG) == pid else { return nil }
    hasEnded = true
    RecentProcesses.forget()
    exitSource = nil
    let signal = status & 0x7F
    if signal == 0 { return .exited((status >> 8) & 0xFF) }
    return status & 0x80 != 0 ? .dumped(signal) : .killed(signal)
  }

  /// Whether nothing of it is alive.
  func isEmpty() -> Bool { container.isEmpty() }

  /// Gives up what it holds.
  func close() {
    output?.close()
    output = nil
    program = nil
    timer = nil
    emptinessTimer = nil
    exitSource = nil
  }
}
