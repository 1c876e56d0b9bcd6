internal import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import RunLedger
internal import Runs
package import Systemd
internal import TrustedFiles

/// Follows the journal and answers its events: the daemon.
///
/// Everything happens on the event loop's thread: entries become events, events become runs in the ledger, and the executor
/// does the runs.
package actor Follower {
  nonisolated let loop: EventLoop
  let options: FollowOptions
  let lock: LedgerLock
  let ledger: Ledger
  let configuration: ConfigurationStore
  let hooks: HookStore
  let reporter: Reporter
  let executor: RunExecutor
  let planner: RunPlanner
  let readers: EventReaders
  let retention: Retention
  /// By reader: the time up to which all was written down, in microseconds since 1970.
  var committedTimes: [String: UInt64] = [:]
  var damageTurn: EventSource?
  /// While replays have runs that follow has passed over.
  var othersTimer: EventSource?
  var watch: JournalWatch?
  var hookWatcher: FolderWatcher?
  var sources: [EventSource] = []
  var flushTimer: EventSource?
  var moreTimer: EventSource?
  var reopenTimer: EventSource?
  /// Whether the journal cannot be watched.
  var isPollingJournal = false
  var pollTimer: EventSource?
  /// What was read and could not be written down yet; nothing more is read meanwhile.
  var uncommitted: [Ledger.Step] = []
  /// Whether it was said that the ledger cannot be written.
  var isLedgerRefusing = false
  /// Until the end of the journal was reached for the first time.
  var isCatchingUp = true
  /// Whether the ledger may hold runs to be done that the executor has not been given.
  var hasStoredRuns = true
  var lastStoredRun: Int64 = 0
  var isDraining = false
  /// Whether the last look has read all there was.
  var isAtEnd = false
  /// Errors at one place of the journal.
  var failuresInARow = 0
  /// Where reading began, in microseconds since 1970: the place to go back to as long as nothing was read.
  var startTime: UInt64 = 0
  var reportedDiagnostics: Set<Diagnostic> = []
  var isPollingHooks = false
  var hookTimer: EventSource?
  var dropTimer: EventSource?
  /// Whether the hooks were read completely once, and all that follows from them has begun.
  var areHooksRead = false
  var hasBegun = false
  /// Why the hooks cannot be read as they are now, and since when, by the loop's clock.
  var unreadable: (error: TrustError, since: UInt64)?
  /// What was read from the journal and not matched to the hooks yet.
  var unmatched: [Ledger.Step] = []
  /// What was loaded last.
  var inventory: HookInventory?
  var unusable = 0
  var toldStatus = ""
  var statusTimer: EventSource?
  /// The reader that was read last: whose entry it is that cannot be read.
  var failingReader: EventReader?
  var needsRelease = false
  var witnessTimer: EventSource?
  /// How often an entry is tried.
  static let failureLimit = 5
  var folderWatcher: FolderWatcher?
  /// The boot that this machine is in.
  let boot: CurrentBoot
  /// When this process began.
  let began: UnitStatus.Moment
  /// Counts questions for all aliases, so that late answers are not taken for new ones.
  var aliasRound = 0
  var reconciler: Reconciler?
  var hasConnected = false
  var reconciliation: Reconciliation
  var reconciliationTimer: EventSource?
  /// What is still to be written down of gaps, and whether the first of them was told already.
  var unwrittenGaps: [Ledger.NotedGap] = []
  var isGapTold = false
  /// When journald said that it ends; and the span of entries that it took late, in microseconds since 1970.
  var journaldStop: UInt64?
  var lateSince: UInt64?
  var lateUntil: UInt64 = 0
  var lateTimer: EventSource?
  /// The files that journald writes to, and when one was removed under it; when it was last looked at them.
  var activeFiles: ActiveJournalFiles?
  var removedSince: UInt64?
  /// Where the reader was after the last look that came to the end.
  var before: JournalCursor?
  var lastLook: UInt64?
  /// So long after the last entry that came late no more is expected, in microseconds.
  static let lateTime: UInt64 = 500_000

  /// Entries read in one turn, so that processes and timers are answered in between.
  static let batchSize = 256
  /// As long as so many runs wait, nothing more is read: the journal is the queue.
  static let pauseThreshold = 1000
  /// How long the runs under way have to end at SIGTERM, in microseconds.
  static let drainTime: UInt64 = 120_000_000
  static let retryInterval: UInt64 = 1_000_000
  /// How long events wait for hooks that have changed and cannot be read, in microseconds; then they are matched to the hooks as
  /// they were before. At the start, where there were none, they wait for ever.
  static let unreadableTime: UInt64 = 10_000_000
  /// How soon it is looked again whether answers of the manager can be compared, in microseconds.
  static let reconciliationInterval: UInt64 = 20_000

  package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  /// Opens everything that following needs, and writes down what a crash has interrupted.
  package init(_ options: FollowOptions, loop: EventLoop, reporter: sending Reporter) throws {
    var options = options
    options.selection.hearsJournald = options.selection.isLocal
    began = Reconciler.moment()
    self.loop = loop
    self.options = options
    self.reporter = reporter
    try Ledger.makeDirectory(options.stateDirectory)
    lock = try LedgerLock(stateDirectory: options.stateDirectory)
    ledger = try Ledger.openForFollowing(stateDirectory: options.stateDirectory)
    let configuration = ConfigurationStore(paths: options.configurationPaths)
    self.configuration = configuration
    retention = Retention(ledger: ledger, loop: loop) { configuration.configuration.historyKeep }
    hooks = HookStore(directories: options.hookDirectories, requiresHost: !options.selection.isLocal)
    boot = try ManagerConnection.currentBoot()
    reconciliation = Reconciliation(
      machine: try Id128.machine(), manager: options.selection.manager, hostname: hostName())
    planner = RunPlanner(hooks: hooks, boot: boot)
    readers = try JournalAccess.open(options.selection)
    if options.selection.isLocal { readers.all.first?.tracker.currentBoot = boot }
    let containment = Containment.establish()
    if case .processTrees(let reason) = containment {
      reporter.say(
        "Runs are not held in cgroups but found by their process tree: \(reason).", .trouble, priority: .notice)
    }
    executor = RunExecutor(
      owner: RunOwner.follow, loop: loop, ledger: ledger, hooks: hooks, reporter: reporter, containment: containment,
      jobs: options.jobs ?? configuration.configuration.jobs, boot: options.selection.isLocal ? boot : nil,
      manager: options.selection.manager)
  }

  // MARK: Starting

  /// Begins; everything else happens while the loop runs.
  package func start() throws {
    ledger.database.onCorruption = { [unowned self] in noteDamage($0) }
    // Blocked before anything is spawned; a child's end is told by its pidfd.
    EventLoop.block([SIGCHLD, SIGPIPE])
    raiseDescriptorLimit()
    sources.append(try loop.watch(signal: SIGTERM) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGINT) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGHUP) { [unowned self] in hooksChanged(isAsked: true) })
    if ServiceNotifier.watchdogInterval() != nil { try loop.sendWatchdogNotifications() }

    try place()
    hookWatcher = FolderWatcher(loop: loop) { [unowned self] in hooksChanged() }
    hooks.onUnaskedLoad = { [unowned self] in
      // What a run has come across is to be told, and watched, like what a change has brought.
      hookTimer = try? self.loop.schedule { [unowned self] in hooksChanged() }
    }
    loadHooks()
    guard areHooksRead else { return ServiceNotifier.ready(status: status) }
    try begin()
  }

  /// The second part of the start, once the hooks were read completely: before that nothing may be read from the journal.
  func begin() throws {
    hasBegun = true
    resolveAliasesNow()
    let failures = try recoverFromCrash(
      ledger, owner: RunOwner.follow, hooks: hooks, reporter, isStale: executor.isOfEarlierBoot)
    try executor.answer(failures: failures)
    planner.limiter = RateLimiter(windows: try ledger.rateLimits())
    if options.selection.isLocal {
      let files = UnitFiles(of: options.selection.manager)
      planner.loopGuard = LoopGuard(
        ledger: ledger, effects: { [hooks] in hooks.hooks.map { ($0.name, $0.effects) } },
        units: readers.all.flatMap { $0.tracker.units.keys }, hasUnitFile: files.contain
      ) { [reporter] in reporter.say($0, .circle, priority: .error) }
    }

    executor.onProgress = { [unowned self] in progress() }
    executor.onDue = { [unowned self] in look() }
    executor.hasTurnedBack = { [readers] in readers.hasTurnedBack(since: $0) }
    executor.isUpToDate = { [unowned self] in isAtEnd && !isCatchingUp && uncommitted.isEmpty }
    try executor.restoreWaiting()
    let watch = JournalWatch(loop: loop, manager: options.selection.manager) { [unowned self] in look() }
    self.watch = watch
    try watchJournal()
    watch.onUnitChange = { [unowned self] in note($0) }
    watch.onJob = { [unowned self] in
      readers.all.first?.note(job: $0, of: $1, result: $2)
      if $2 != nil { scheduleWitness() }
    }
    watch.onReturn = { [unowned self] in
      readers.all.first?.managerHasReturned(with: $0)
      scheduleWitness()
    }
    watch.onShutdown = { [unowned self] in executor.systemGoesDown($0) }
    startReconciling()
    if options.selection.isLocal {
      readers.all.first?.listen()
      watch.listenToManager()
    }
    watchFolders()
    // From here on nothing waits for a lock that somebody else holds: what is refused is tried again.
    ledger.database.busyTimeout = Ledger.busyTimeout
    ServiceNotifier.ready(status: status)
    // In the loop's first turn, behind READY.
    moreTimer = try loop.schedule { [unowned self] in
      moreTimer = nil
      loadStoredRuns()
      if (try? ledger.hasWantedRunsOfOthers()) ?? true { awaitOthers() }
      retention.begin()
      look()
    }
  }

  /// Two or three descriptors a run: the soft limit of 1024 is for programs that use select(2); hooks get it back.
  func raiseDescriptorLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// The state that `systemctl status` shows.
  var status: String {
    var status = FollowStatus()
    status.hooks = inventory?.items.count ?? 0
    status.unusable = unusable
    status.suspended = planner.loopGuard?.suspension(at: Clock.now().microseconds).hooks ?? 0
    status.unreadable = unreadable.map { "\($0.error)" }
    status.isWaiting = !areHooksRead
    status.isLedgerRefusing = isLedgerRefusing || !executor.isWritten
    status.isGapOpen = removedSince != nil || journaldStop != nil || lateSince != nil
    return status.text
  }

  /// Tells the manager, if the state is not what it was told last.
  func updateStatus() {
    let now = status
    if now == toldStatus || isDraining { return }
    toldStatus = now
    ServiceNotifier.status(now)
    // Hooks are suspended for a time.
    let clock = Clock.now().microseconds
    statusTimer = planner.loopGuard?.suspension(at: clock).until.flatMap { until in
      try? loop.schedule(at: loop.now() + (until - clock), accuracy: 1_000_000) { [unowned self] in
        statusTimer = nil
        updateStatus()
      }
    }
  }

  /// Finds the place in the journal to go on from.
  func place() throws {
    startTime = Clock.now().microseconds
    if try placeAfterDamage() { return }
    if let since = options.since {
      if !options.again { try ledger.requireMemory(since: since) }
      // Written down at once: a restart before the first entry must not go back to where an earlier one was.
      try begin(at: since)
      reporter.say("Following the journal from \(Timestamp(microseconds: since)) on.", .following, priority: .info)
    } else if try ledger.position(of: readers.name) != nil {
      for reader in readers.all { try resume(reader) }
    } else {
      // Written down even where there is nothing yet: what comes then is not to be skipped by a later start.
      var beginnings = [Ledger.Beginning(reader: readers.name, at: .from(startTime))]
      for reader in readers.all {
        if let end = try reader.seekEnd() { beginnings.append(.init(reader: reader.name, at: .behind(end))) }
      }
      try ledger.begin(beginnings)
      try ledger.makeDurable()
      reporter.say(
        "Following the journal for the first time: from its end on. Earlier events can be had by --since.", .following,
        priority: .info)
    }
  }

  /// Has all readers begin at a time, in microseconds since 1970.
  func begin(at time: UInt64) throws {
    // Of several machines' journals that of all, too, or the next start would take itself for the first.
    try ledger.begin(
      readers.all.map { .init(reader: $0.name, at: .from(time), forgetting: $0.machine) }
        + [.init(reader: readers.name, at: .from(time))])
    try ledger.makeDurable()
    for reader in readers.all { try reader.seek(realtime: time) }
  }

  /// Goes on where a reader was left; a machine that is new is read from its first entry on.
  func resume(_ reader: EventReader) throws {
    switch try ledger.position(of: reader.name) {
    case .behind(let cursor):
      committedTimes[reader.name] = cursor.realtime + 1
      let tracker = try ledger.tracker(of: reader.machine)
      let machine = options.selection.isLocal ? "" : " of machine \(reader.machine)"
      if let place = try reader.resume(after: cursor, tracker: tracker) {
        try judge(place, of: reader, isStarting: true)
      } else {
        reporter.say(
          "Following the journal\(machine) from where it was left, \(Timestamp(microseconds: cursor.realtime)).",
          .following, priority: .info)
      }
    case .from(let time):
      committedTimes[reader.name] = time
      try reader.seek(realtime: time)
    case nil: break
    }
  }

  func watchJournal() throws(SystemError) {
    do throws(SystemError) {
      try watch?.watch(journal: readers.fileDescriptor(), isReliable: readers.isReliable)
      try readers.checkWatches()
    } catch {
      guard error.isAboutWatching else { throw error }
      return try pollJournal(error)
    }
    if isPollingJournal { reporter.say("The journal is watched again.", .trouble, priority: .notice) }
    isPollingJournal = false
  }

  /// What the journal tells must not be lost for want of something to watch it with. Without that libsystemd does not notice new
  /// files: what there is to read is read, then the journal is opened anew, which tries to watch it, too.
  func pollJournal(_ error: SystemError) throws(SystemError) {
    readers.becomeBlind()
    if !isPollingJournal {
      reporter.say(
        "The journal cannot be watched, and is read every second instead: \(error). \(error.watchRemedy)", .trouble,
        priority: .warning)
    }
    isPollingJournal = true
    pollTimer = try loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
      pollTimer = nil
      look()
      if reopenTimer == nil { reopen(in: 0) }
    }
  }

  // MARK: Ending

  /// Starts no more runs, and ends when those under way have ended: within two minutes, or at once when asked again.
  func drain() {
    if isDraining { return cutOff() }
    executor.drain()
    let ends = ends()
    if !ends.isEmpty { look() }
    keep(ends)
    isDraining = true
    watch?.pause()
    ServiceNotifier.stopping(status: "Waiting for the runs under way.")
    interruptWaitingForUs()
    if executor.isQuiet { return loop.exit(0) }
    drainTimer = try? loop.schedule(at: loop.now() + Follower.drainTime) { [unowned self] in cutOff() }
  }

  /// A hook that stops or restarts journalhook itself and waits for that would wait for itself.
  private func interruptWaitingForUs() {
    guard let unit = ownUnit() else { return }
    for run in executor.interruptRuns(actingOn: unit) {
      reporter.say(
        "Run \(run.id) of hook \(run.hook) waits for the end of \(unit), which is journalhook itself: it is ended. Use "
          + "systemctl's --no-block there.", .trouble, priority: .warning)
    }
  }

  /// Ends the runs under way. What then still hinders ending is left to the next start, which knows how to deal with it.
  func cutOff() {
    executor.interruptAll()
    if executor.isQuiet { return loop.exit(0) }
    drainTimer = try? loop.schedule(at: loop.now() + Follower.cutOffTime) { [unowned self] in
      reporter.say(
        "Ending although runs are under way or could not be written down; the next start deals with them.", .trouble,
        priority: .error)
      loop.exit(1)
    }
  }

  /// How long runs that are cut off have to end, in microseconds: with the drain less than TimeoutStopSec= of the service.
  static let cutOffTime: UInt64 = 30_000_000
  var drainTimer: EventSource?
}
