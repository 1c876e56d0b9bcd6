internal import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import RunLedger
internal import Runs
internal import Systemd

/// What `follow` and `replay` have in common: from the events of readers to runs in the ledger, and from there to processes.
final class RunEngine {
  /// Whose runs these are in the ledger.
  let owner: String
  let host: any DaemonHost
  let reporter: Reporter
  let readers: EventReaders
  let ledger: Ledger
  let configuration: ConfigurationStore
  let hooks: HookStore
  /// The boot that this machine is in.
  let boot: CurrentBoot
  let planner: RunPlanner
  let executor: RunExecutor

  var loop: any Loop { host.loop }
  var timers: any Timers { host.timers }

  /// Opens everything.
  ///
  /// - Parameters:
  ///   - mode: of all runs; nil: of each by its event.
  init(
    owner: String, options: some RunOptions, mode: Run.Mode? = nil, host: any DaemonHost, reporter: Reporter,
    selection: JournalSelection
  ) throws {
    self.owner = owner
    self.host = host
    self.reporter = reporter
    let timers = host.timers
    readers = try JournalAccess.open(selection, on: host.reading)
    ledger = try host.openLedger(in: options.stateDirectory, isFollowing: owner == RunOwner.follow)
    configuration = ConfigurationStore(paths: options.configurationPaths)
    hooks = HookStore(directories: options.hookDirectories, requiresHost: !selection.isLocal)
    boot = try host.currentBoot()
    planner = RunPlanner(hooks: hooks, boot: boot, timers: timers, mode: mode)
    let runHost = host.runHost(
      hooks: hooks, reporter: reporter, stateDirectory: ledger.stateDirectory, manager: selection.manager)
    executor = RunExecutor(
      owner: owner, timers: timers, ledger: ledger, host: runHost, reporter: reporter,
      jobs: options.jobs ?? Configuration().jobs, boot: selection.isLocal ? boot : nil)
    executor.callbacks.hasTurnedBack = { [readers] in readers.hasTurnedBack(since: $0) }
  }

  /// Ends what dead processes have left behind, and takes up what waits in the ledger.
  func recover() throws {
    let failures = try recoverFromCrash(
      ledger, owner: owner, hooks: hooks, executor.host, reporter, now: timers.realtime,
      isStale: executor.isOfEarlierBoot)
    try executor.answer(failures: failures)
    try executor.due.restore(boot: boot.id)
  }

  /// Takes over the runs of replays that were killed.
  func recoverFromDeadReplays() throws {
    let failures = try JournalHookDaemon.recoverFromDeadReplays(
      ledger, owner: owner, hooks: hooks, executor.host, reporter, now: timers.realtime,
      isStale: executor.isOfEarlierBoot)
    try executor.answer(failures: failures)
    try executor.due.takeUp()
  }

  /// From here on nothing waits for a lock that somebody else holds: what is refused is tried again.
  func limitWaits() { ledger.limitWaits() }
}

/// What `follow` and `replay` are both asked.
protocol RunOptions {
  var stateDirectory: String { get }
  var hookDirectories: [String] { get }
  /// How many runs may be under way at once; nil: what the configuration says.
  var jobs: Int? { get }
  /// Where `journalhook.conf` may be.
  var configurationPaths: [String] { get }
}
