import ArgumentParser
internal import EventReading
import Glibc
internal import HookFiles
internal import JournalHookDaemon
internal import Lifecycle
internal import Runs
internal import Systemd

/// `journalhook follow`: the daemon.
struct Follow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "follow",
    abstract: "Follows the journal and runs hooks, until it is stopped.",
    discussion: """
      Continues where it ended. The first time it starts at the end of the journal. On SIGTERM it waits for the runs under \
      way, for 2 minutes at most. On SIGHUP it reads the hooks again. It also reads them by itself, within a second of a \
      change.
      """)

  @Option(
    name: [.customShort("S"), .long], parsing: .unconditional,
    help: "Start at this time instead (systemd.time(7)). Runs that the ledger has as done are not repeated.")
  var since: String?

  @Flag(name: .long, help: "With --since: also repeat runs that the ledger has as done.")
  var again = false

  @Flag(name: .long, help: "Show what would run. Nothing is run or written.")
  var dryRun = false

  @Option(
    name: .long, help: "How many runs may be under way at the same time. Default: Jobs= of journalhook.conf, or 64.")
  var jobs: Int?

  @OptionGroup var hookOptions: HookOptions
  @OptionGroup var state: StateOptions
  @OptionGroup var source: SourceOptions

  func validate() throws {
    _ = try parseTime(since, option: "--since")
    if again, since == nil { throw ValidationError("--again needs --since.") }
    try checkJobs(jobs)
  }

  func run() throws {
    let directories = try hookOptions.directories(of: source.manager, isLocal: source.selection.isLocal)
    let since = try parseTime(since, option: "--since")
    if dryRun { return try rehearse(directories, since: since) }

    var options = FollowOptions(
      selection: source.selection, stateDirectory: state.directory(of: source.manager), hookDirectories: directories)
    options.since = since?.microseconds
    options.again = again
    options.jobs = jobs
    options.configurationPaths = configurationPaths(of: source.manager)
    let loop = try EventLoop()
    let follower = try Follower(options, host: SystemDaemonHost(loop), reporter: Console.reporter(loop))
    try follower.start()
    let status = try loop.run()
    _ = follower
    if status != 0 { throw ExitCode(status) }
  }

  private func rehearse(_ directories: [String], since: Timestamp?) throws {
    let hooks = HookStore(directories: directories, requiresHost: !source.selection.isLocal)
    try hooks.load()
    hooks.diagnostics.forEach { Console.warn("\($0)") }
    let loop = try EventLoop()
    let rehearsal = try Rehearsal(
      hooks: hooks, selection: source.selection, stateDirectory: state.directory(of: source.manager), isReplay: false,
      again: again, timers: LoopTimers(loop))
    let readers = try JournalAccess.open(source.selection)
    if let since {
      try rehearsal.requireRuns(since: since.microseconds)
      for reader in readers.all { try reader.seek(realtime: since.microseconds) }
    } else {
      try rehearsal.place(readers)
    }
    let tail = try EventTail(loop: loop, readers: readers, warn: Console.warn) { event in
      rehearsal.runs(for: event, of: readers).forEach(Console.show)
    }
    try tail.start()
    _ = try loop.run()
  }
}

/// Throws a usage error when a number of jobs is less than 1.
func checkJobs(_ jobs: Int?) throws {
  if let jobs, jobs < 1 { throw ValidationError("--jobs: '\(jobs)' is not a number of runs. The smallest is 1.") }
}

extension Console {
  /// A reporter for a command that runs hooks.
  ///
  /// On a terminal it shows everything. Otherwise it writes problems to standard error, unless standard error is the journal:
  /// the reporter always sends its messages to the journal itself.
  static func reporter(_ loop: EventLoop) -> Reporter {
    // Runs must not end because the reader of a pipe has gone away.
    EventLoop.block([SIGPIPE])
    if isatty(STDOUT_FILENO) == 1 { return Reporter(loop: loop, show: { show($0) }) }
    let isJournal = unsafe getenv("JOURNAL_STREAM") != nil
    return Reporter(loop: loop, warn: isJournal ? nil : { warn($0) })
  }

  /// Shows what a dry run would do.
  static func show(_ planned: (run: PlannedRun, command: [String])) {
    let event = planned.run.event
    let time = Timestamp(microseconds: event.realtime).shortPreciseLocal
    let what =
      planned.run.state == .pending
      ? "would run: \(planned.command.joined(separator: " "))"
      : "would not run, \(planned.run.state.rawValue): \(planned.run.reason ?? "")"
    print("\(time) \(event.unit) \(event.kind.rawValue): \(planned.run.hook): \(what)".printable)
  }
}
