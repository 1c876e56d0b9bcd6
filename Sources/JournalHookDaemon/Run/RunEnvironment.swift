internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import Runs
internal import Systemd

/// What a script is given: its environment variables, and the event as JSON on standard input.
enum RunEnvironment {
  /// - Parameter account: who the script runs as.
  static func variables(
    for run: Run, hook: LoadedHook, account: Account?, stateDirectory: String
  ) -> [(String, String)] {
    let event = run.event
    var variables = [("PATH", ExecCommand.searchPath), ("LANG", language)]
    if let account { variables += [("HOME", account.home), ("USER", account.name)] }
    if event.manager != .system { variables += SessionEnvironment.variables() }
    for variable in hook.definition.environment {
      variables.removeAll { $0.0 == variable.name }
      variables.append((variable.name, variable.value.expand(for: event)))
    }
    // What the hook's own Environment= says of them does not count: a variable must not be there twice.
    variables.removeAll { $0.0.hasPrefix("JOURNALHOOK_") }
    func add(_ name: String, _ value: String?) {
      if let value { variables.append(("JOURNALHOOK_\(name)", value)) }
    }
    add("ID", event.id)
    add("EVENT", event.kind.rawValue)
    add("UNIT", event.unit)
    add("RESULT", event.result)
    add("RESTART_JOB", event.restartJob == true ? "1" : "0")
    add("AUTO_RESTART", event.autoRestart == true ? "1" : "0")
    add("INVOCATION", event.invocation)
    add("JOB_ID", event.job?.id.map(String.init))
    add("JOB_TYPE", event.job?.type)
    add("EXIT_CODE", event.exitCode)
    add("EXIT_STATUS", event.exitStatus)
    add("MESSAGE", event.message)
    add("TIME", Timestamp(microseconds: event.realtime).iso8601UTC)
    add("SOURCE", event.source.rawValue)
    add("CURSOR", event.cursor)
    add("BOOT", event.boot)
    add("MACHINE", event.machine)
    add("HOSTNAME", event.hostname)
    add("MANAGER", event.manager.name)
    add("HOOK", run.hook)
    add("HOOK_PATH", hook.programPath)
    add("RUN_ID", String(run.id))
    add("ATTEMPT", String(run.attempt))
    add("MODE", run.mode.rawValue)
    add("STATE_DIRECTORY", stateDirectory)
    // A hook that answers a failure has to know whose it is.
    add("FAILED_HOOK", run.failed?.hook)
    add("FAILED_RUN_ID", run.failed.map { String($0.id) })
    return variables
  }

  /// Of the daemon's own environment only its language is passed on.
  private static let language = unsafe getenv("LANG").map { unsafe String(cString: $0) } ?? "C.UTF-8"

  /// A pipe that holds the event and ends after it, so that nothing has to be written while the script reads.
  static func standardInput(for event: LifecycleEvent) throws(SystemError) -> OwnedDescriptor {
    let pipe = try Pipe()
    let bytes = Array((event.json.text + "\n").utf8)
    if bytes.count > Pipe.defaultCapacity { try pipe.reserve(bytes.count) }
    // A user with very many pipes is given smaller ones (pipe(7), pipe-user-pages-soft): an error, not a wait for ever.
    _ = fcntl(pipe.writing.rawValue, F_SETFL, O_NONBLOCK)
    var count = 0
    repeat { count = unsafe write(pipe.writing.rawValue, bytes, bytes.count) } while count < 0 && errno == EINTR
    guard count == bytes.count else { throw SystemError("hand over the event", code: errno) }
    return try pipe.reading.duplicate()
  }

  /// The private directory of a hook, which lasts, owned by whom the hook runs as; made when it is not there.
  static func stateDirectory(of hook: String, in ledger: String, owner: Account?) throws(SystemError) -> String {
    let directory = "\(ledger)/hooks"
    let path = "\(directory)/\(hook)"
    if unsafe mkdir(path, 0o700) != 0, errno != EEXIST {
      if errno == ENOENT {
        let mask = umask(0o066)
        _ = unsafe mkdir(directory, 0o711)
        umask(mask)
      }
      guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
        throw SystemError("make the hook's state directory", path: path)
      }
    }
    // Nobody else can put a link in its place: the directory above is ours alone to change.
    if let identity = owner?.identity, geteuid() == 0 {
      try SystemError.checkErrno(unsafe lchown(path, identity.user, identity.group), "give away", path: path)
    }
    return path
  }
}
