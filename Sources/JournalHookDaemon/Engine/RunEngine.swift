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
  let loop: EventLoop
  let timers: any Timers
  let reporter: Reporter
  let readers: EventReaders
  let ledger: Ledger
  let configuration: ConfigurationStore
  let hooks: HookStore
  /// The boot that this machine is in.
  let boot: CurrentBoot
  let planner: RunPlanner
  let executor: RunExecutor

  /// Opens everything.
  ///
  /// - Parameters:
  ///   - mode: of all runs; nil: of each by its event.
  ///   - openLedger: called when the journal could be opened.
  init(
    owner: String, options: some RunOptions, mode: Run.Mode? = nil, loop: EventLoop, reporter: Reporter,
    selection: JournalSelection, openLedger: () throws -> Ledger
  ) throws {
    self.owner = owner
    self.loop = loop
    self.reporter = reporter
    timers = try LoopTimers(loop)
    readers = try JournalAccess.open(selection, clocks: timers)
    ledger = try openLedger()
    configuration = ConfigurationStore(paths: options.configurationPaths)
    hooks = HookStore(directories: options.hookDirectories, requiresHost: !selection.isLocal)
    boot = try ManagerConnection.currentBoot()
    planner = RunPlanner(hooks: hooks, boot: boot, timers: timers, mode: mode)
    let containment = Containment.establish()
    if case .processTrees(let reason) = containment {
      reporter.say(
        "Runs are not held in cgroups but found by their process tree: \(reason).", .trouble, priority: .notice)
    }
    let host = SystemRunHost(
      loop: loop, timers: timers, hooks: hooks, reporter: reporter, containment: containment,
      stateDirectory: ledger.stateDirectory, manager: selection.manager)
    executor = RunExecutor(
      owner: owner, timers: timers, ledger: ledger, host: host, reporter: reporter,
      jobs: options.jobs ?? Configuration().jobs, boot: selection.isLocal ? boot : nil)
    executor.callbacks.hasTurnedBack = { [readers] in readers.hasTurnedBack(since: $0) }
  }

  /// Prepares the process for running others, before anything is spawned.
  func prepareProcess() {
    // Children are waited for by their pidfds, and a closed pipe must not end journalhook.
    EventLoop.block([SIGCHLD, SIGPIPE])
    // Two or three descriptors a run: the soft limit of 1024 is for programs that use select(2). Hooks get it back.
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Ends what dead processes have left behind, and takes up what waits in the ledger.
  func recover() throws {
    let failures = try recoverFromCrash(
      ledger, owner: owner, hooks: hooks, reporter, now: timers.realtime, isStale: executor.isOfEarlierBoot)
    try executor.answer(failures: failures)
    try executor.due.restore(boot: Id128.boot())
  }

  /// Takes over the runs of replays that were killed.
  func recoverFromDeadReplays() throws {
    let failures = try JournalHookDaemon.recoverFromDeadReplays(
      ledger, owner: owner, hooks: hooks, reporter, now: timers.realtime, isStale: executor.isOfEarlierBoot)
    try executor.answer(failures: failures)
  }

  /// From here on nothing waits for a lock that somebody else holds: what is refused is tried again.
  func limitWaits() { ledger.limitWaits() }
}

/// What `follow` and `replay` are both asked.
protocol RunOptions {
  var hookDirectories: [String] { get }
  /// How many runs may be under way at once; nil: what the configuration says.
  var jobs: Int? { get }
  /// Where `journalhook.conf` may be.
  var configurationPaths: [String] { get }
}
