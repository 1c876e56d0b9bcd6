import ArgumentParser
internal import EventReading
import Glibc
internal import HookFiles
internal import Hooks
internal import JournalHookDaemon
internal import Systemd

/// `journalhook replay`: runs what is missing for a past time span.
struct Replay: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Runs what is missing for the events of a past time span, and exits.",
    discussion: """
      Does not move the cursor. Can run at the same time as follow. It runs hooks for every event of the span, whatever \
      CatchUp= says: look with --dry-run first. Events of an earlier boot count only for hooks with PreviousBoots=yes. \
      Exits with 1 if a run failed.
      """)

  @Option(
    name: [.customShort("S"), .long], parsing: .unconditional,
    help: "Start at this time, as in systemd.time(7): \"18:00\", \"-2h\", \"yesterday\".")
  var since: String

  @Option(name: [.customShort("U"), .long], parsing: .unconditional, help: "End at this time.")
  var until: String?

  @Flag(name: .long, help: "Also repeat runs that the ledger has as done.")
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
    try checkSpan(since: since, until: until)
    try checkJobs(jobs)
  }

  func run() throws {
    let directories = try hookOptions.directories(of: source.manager, isLocal: source.selection.isLocal)
    let since = try parseTime(since, option: "--since") ?? Clock.now()
    let until = try parseTime(until, option: "--until")?.microseconds ?? .max
    if dryRun { return try rehearse(directories, since: since, until: until) }

    var options = ReplayOptions(
      selection: source.selection, stateDirectory: state.directory(of: source.manager), hookDirectories: directories,
      since: since.microseconds)
    options.until = until
    options.again = again
    options.jobs = jobs
    options.configurationPaths = configurationPaths(of: source.manager)
    let loop = try EventLoop()
    let replayer = try Replayer(
      options, host: SystemDaemonHost(loop), reporter: Console.reporter(loop), report: { Replay.show($0) })
    try replayer.start()
    let status = try loop.run()
    if Console.showsProgress { Console.progress("\n") }
    let done = replayer.progress
    let missing = done.isIncomplete ? " Not all events of the span were processed." : ""
    Console.warn("\(done.runs) runs: \(done.done - done.failed) succeeded, \(done.failed) failed.\(missing)")
    if status != 0 { throw ExitCode(status) }
  }

  private static func show(_ progress: ReplayProgress) {
    guard Console.showsProgress else { return }
    let failed = progress.failed > 0 ? ", \(progress.failed) failed" : ""
    Console.progress("\r\(progress.events) events, \(progress.done) of \(progress.runs) runs done\(failed)\u{1B}[K")
  }

  private func rehearse(_ directories: [String], since: Timestamp, until: UInt64) throws {
    let hooks = HookStore(directories: directories, requiresHost: !source.selection.isLocal)
    try hooks.load()
    hooks.diagnostics.forEach { Console.warn("\($0)") }
    let rehearsal = try Rehearsal(
      hooks: hooks, selection: source.selection, stateDirectory: state.directory(of: source.manager), isReplay: true,
      again: again, timers: LoopTimers(EventLoop()))
    try rehearsal.requireRuns(since: since.microseconds)
    let readers = try JournalAccess.open(source.selection)
    var history = EventHistory(readers)
    history.since = since.microseconds
    history.until = until
    try history.forward { rehearsal.runs(for: $0, of: readers).forEach(Console.show) }
  }
}
