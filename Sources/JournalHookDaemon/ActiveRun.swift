internal import Glibc
internal import JournalHookCore
internal import Systemd

/// A run whose process exists, or of which something is left.
final class ActiveRun {
  let run: Run
  let lane: RunQueue.Lane
  var machine: RunMachine
  var container: RunContainer
  private(set) var output: RunOutput?
  var timer: EventSource?
  var emptinessTimer: EventSource?
  var exitSource: EventSource?
  private var process: SpawnedProcess?
  private var hasEnded = false

  init(run: Run, lane: RunQueue.Lane, definition: HookDefinition, container: RunContainer) {
    self.run = run
    self.lane = lane
    self.container = container
    machine = RunMachine(
      timeout: definition.timeout.isInfinite ? nil : definition.timeout.microseconds,
      grace: definition.grace.isInfinite ? nil : definition.grace.microseconds,
      successExitStatus: definition.successExitStatus)
  }

  /// The descriptor that becomes readable when the main process ends.
  var pidfd: CInt { process?.pidfd.rawValue ?? -1 }

  /// The main process's number, while nobody has waited for it.
  var livingMain: ProcessID? { hasEnded ? nil : process?.pid }

  /// Creates the process.
  func spawn(
    _ opened: borrowing OpenedHook, ledger: Ledger, loop: EventLoop, reporter: Reporter
  ) throws {
    let run = run
    let hook = opened.hook
    let definition = hook.definition
    let isOther = definition.user != nil || definition.group != nil
    let account = isOther ? try Account.find(user: definition.user, group: definition.group) : Account.own
    let stateDirectory = try RunEnvironment.stateDirectory(
      of: run.hook, in: ledger.stateDirectory, owner: account)
    let input = try RunEnvironment.standardInput(for: run.event)
    let executable = opened.program.descriptor.rawValue
    let directory = try workingDirectory(definition, account)
    defer { if let directory { _ = Glibc.close(directory) } }
    output = try RunOutput(of: run, loop: loop, reporter: reporter) { writing in
      var request = SpawnRequest(
        executable: executable, arguments: hook.arguments(for: run.event), standardInput: input.rawValue,
        standardOutput: writing, standardError: writing)
      request.environment = RunEnvironment.variables(
        for: run, hook: hook, account: account, stateDirectory: stateDirectory)
      request.workingDirectory = directory
      if let umask = definition.umask { request.umask = umask }
      request.nice = definition.nice
      if isOther, let account {
        request.identity = account.identity
        request.noNewPrivileges = account.identity.user != 0
      }
      process = try container.spawn(request)
    }
  }

  /// Opens the folder that the script starts in: the root, unless the hook says otherwise, as with services.
  private func workingDirectory(_ definition: HookDefinition, _ account: Account?) throws(SystemError) -> CInt? {
    let wanted = definition.workingDirectory
    let named = wanted?.path.expand(for: run.event) ?? "/"
    let path = named == "~" ? account?.home ?? "/" : named
    do throws(SystemError) {
      return try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY).release()
    } catch {
      if wanted?.mayBeMissing == true { return nil }
      throw SystemError("enter WorkingDirectory=", path: path, code: error.code)
    }
  }

  /// Waits for the main process, which has ended; nil when it has not.
  func reap() -> RunMachine.Exit? {
    guard let pid = livingMain else { return nil }
    var status: CInt = 0
    guard unsafe waitpid(pid, &status, WNOHANG) == pid else { return nil }
    hasEnded = true
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
    timer = nil
    emptinessTimer = nil
    exitSource = nil
  }
}
