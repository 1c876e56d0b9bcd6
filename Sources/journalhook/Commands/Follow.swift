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
      Goes on where it was left; the first time from the end of the journal on. SIGTERM lets the runs under way end, for \
      two minutes at most. SIGHUP reads the hooks anew, which happens by itself within a second of a change, too.
      """)

  @Option(
    name: [.customShort("S"), .long], parsing: .unconditional,
    help: "Start at this time (systemd.time(7)) instead. Runs that the ledger has as done are not repeated.")
  var since: String?

  @Flag(name: .long, help: "With --since: do runs again that the ledger has as done.")
  var again = false

  @Flag(name: .long, help: "Show what would be run, and touch nothing.")
  var dryRun = false

  @Option(name: .long, help: "How many runs may be under way at once; otherwise Jobs= of journalhook.conf, else 64.")
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
    let follower = try Follower(options, loop: loop, reporter: Console.reporter(loop))
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
      try rehearsal.requireMemory(since: since.microseconds)
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

/// Refuses a number of jobs that makes no sense.
func checkJobs(_ jobs: Int?) throws {
  if let jobs, jobs < 1 { throw ValidationError("--jobs: '\(jobs)' is not a number of runs; at least 1 is needed.") }
}

extension Console {
  /// Tells what journalhook does: to the person at a terminal, or on standard error what is wrong, unless that is the
  /// journal, which is told anyway.
  static func reporter(_ loop: EventLoop) -> Reporter {
    // A reader that has gone away must not end runs.
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
