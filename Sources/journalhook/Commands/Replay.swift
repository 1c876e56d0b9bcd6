import ArgumentParser
internal import EventReading
import Glibc
internal import HookFiles
internal import Hooks
internal import JournalHookDaemon
internal import Systemd

/// `journalhook replay`: what is missing in a past span.
struct Replay: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Does the runs of a past span that the ledger does not have, and ends.",
    discussion: """
      Moves no cursor, and may be used beside follow. Every event of the span counts, whatever CatchUp= says: look with \
      --dry-run first. Exits with 1 if a run failed. Events of an earlier boot count only \
      for hooks with PreviousBoots=yes.
      """)

  @Option(
    name: [.customShort("S"), .long], parsing: .unconditional,
    help: "Begin at this time, as in systemd.time(7): \"18:00\", \"-2h\", \"yesterday\".")
  var since: String

  @Option(name: [.customShort("U"), .long], parsing: .unconditional, help: "End at this time.")
  var until: String?

  @Flag(name: .long, help: "Do runs again that the ledger has as done.")
  var again = false

  @Flag(name: .long, help: "Show what would be run, and touch nothing.")
  var dryRun = false

  @Option(name: .long, help: "How many runs may be under way at once; otherwise Jobs= of journalhook.conf, else 64.")
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
    let replayer = try Replayer(options, loop: loop, reporter: Console.reporter(loop), report: { Replay.show($0) })
    try replayer.start()
    let status = try loop.run()
    if Console.showsProgress { Console.progress("\n") }
    let done = replayer.progress
    let missing = done.isIncomplete ? " Not all events of the span were dealt with." : ""
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
    try rehearsal.requireMemory(since: since.microseconds)
    let readers = try JournalAccess.open(source.selection)
    var history = EventHistory(readers)
    history.since = since.microseconds
    history.until = until
    try history.forward { rehearsal.runs(for: $0, of: readers).forEach(Console.show) }
  }
}
