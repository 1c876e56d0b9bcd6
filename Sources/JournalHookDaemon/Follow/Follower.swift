package import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
package import Lifecycle
internal import RunLedger
internal import Runs
package import Systemd

/// Follows the journal and answers its events: the daemon.
///
/// Everything happens on the event loop's thread: entries become events (`JournalFeed`), events become runs in the ledger
/// (`RunIntake`), and the executor does the runs. What is here starts and ends that, and wires it.
package final class Follower: JournalFeedClient {
  private let options: FollowOptions
  private let lock: LedgerLock
  private let engine: RunEngine
  private let trouble: LedgerTrouble
  private let hookWatch: HookWatch
  private let intake: RunIntake
  private let stored: StoredRuns
  private let gaps: GapDetector
  private let damage: DamageControl
  private var feed: JournalFeed!
  private var status: StatusLine!
  /// Where there is a service manager to ask.
  private var local: LocalMachine?
  private var sources: [EventSource] = []
  private var timer: Timer?
  private var phase = Phase.waitingForHooks

  private enum Phase: Equatable {
    /// The hooks were not read completely yet; nothing is read from the journal.
    case waitingForHooks
    /// Until the end of the journal was reached for the first time.
    case catchingUp
    case following
    /// No more runs begin.
    case draining
  }

  /// How long the runs under way have to end at SIGTERM, in microseconds.
  static let drainTime: UInt64 = 120_000_000
  /// How long runs that are cut off have to end, in microseconds: with the drain less than TimeoutStopSec= of the service.
  static let cutOffTime: UInt64 = 30_000_000

  /// Opens everything that following needs, and locks the state directory.
  package init(_ options: FollowOptions, loop: EventLoop, reporter: Reporter) throws {
    self.options = options
    var selection = options.selection
    selection.includesJournald = selection.isLocal
    try Ledger.makeDirectory(options.stateDirectory)
    lock = try LedgerLock(stateDirectory: options.stateDirectory)
    engine = try RunEngine(
      owner: RunOwner.follow, options: options, loop: loop, reporter: reporter, selection: selection,
      openLedger: { try Ledger.openForFollowing(stateDirectory: options.stateDirectory) })
    let (engine, timers) = (engine, engine.timers)
    let began = timers.moment
    let localReader = engine.readers.local
    localReader?.tracker.currentBoot = engine.boot
    trouble = LedgerTrouble(reporter: reporter, timers: timers)
    hookWatch = HookWatch(engine.hooks, engine.configuration, reporter: reporter, loop: loop, timers: timers) {
      try? engine.ledger.loadedHooks()
    }
    let intake = RunIntake(engine, trouble: trouble, again: options.again)
    self.intake = intake
    stored = StoredRuns(engine, trouble: trouble)
    gaps = GapDetector(
      ledger: engine.ledger, reporter: reporter, timers: timers, boot: engine.boot, local: localReader,
      selection: selection)
    damage = DamageControl(engine, trouble: trouble, committed: { intake.committedTimes })
    feed = JournalFeed(engine.readers, loop: loop, timers: timers, client: self)
    local = localReader.map {
      LocalMachine(
        $0, hooks: engine.hooks, boot: engine.boot, manager: selection.manager, watch: feed.watch, timers: timers,
        began: began)
    }
    status = StatusLine(
      timers: timers, state: { [unowned self] in state },
      suspendedUntil: { engine.planner.loopGuard?.suspension(at: timers.realtime).until })
    wire()
  }

  private func wire() {
    let (engine, options) = (engine, options)
    let update = { [unowned self] in if phase != .draining { status.update() } }
    trouble.onChange = update
    trouble.retry = { [unowned self] in
      guard intake.commit() else { return }
      stored.retry()
      feed.look()
    }
    gaps.onChange = update
    gaps.onGap = { [unowned self] in local?.compare() }
    damage.onDamage = { [unowned self] in
      phase = .draining
      feed.end()
    }
    hookWatch.onChange = { [unowned self] in hooksChanged() }
    hookWatch.onConfiguration = { configuration in
      let jobs = options.jobs ?? configuration.jobs
      if engine.executor.jobs != jobs { engine.executor.jobs = jobs }
    }
    hookWatch.onInventory = { inventory in
      engine.executor.write { [ledger = engine.ledger] in try ledger.note(inventory) }
    }
    intake.mayMatch = { [unowned self] hasEvents in
      if hasEvents, hookWatch.takeChange() { reloadHooks() }
      return hookWatch.mayMatch
    }
    intake.onCommit = { [unowned self] in committed($0, $1) }
    local?.look = { [unowned self] in
      feed.look()
      return feed.isAtEnd && phase == .following && intake.isDone
    }
    local?.take = { [unowned self] in takeFound($0) }
    engine.executor.callbacks.onProgress = { [unowned self] in progress() }
    engine.executor.callbacks.onDue = { [unowned self] in feed.look() }
    engine.executor.callbacks.isUpToDate = { [unowned self] in
      feed.isAtEnd && phase == .following && intake.isDone
    }
    feed.watch.onShutdown = { engine.executor.systemGoesDown($0) }
  }

  // MARK: Starting

  /// Begins; everything else happens while the loop runs.
  package func start() throws {
    engine.blockSignals()
    raiseDescriptorLimit()
    let loop = engine.loop
    sources.append(try loop.watch(signal: SIGTERM) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGINT) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGHUP) { [unowned self] in reloadIsAsked() })
    if ServiceNotifier.watchdogInterval() != nil { try loop.sendWatchdogNotifications() }
    try place.take(&intake.committedTimes)
    hookWatch.load()
    guard hookWatch.areRead else { return ServiceNotifier.ready(status: status.text) }
    try begin()
  }

  private var place: FollowPlace { FollowPlace(engine: engine, gaps: gaps, options: options) }

  /// The second part of the start, once the hooks were read completely: before that nothing may be read from the journal.
  private func begin() throws {
    phase = .catchingUp
    local?.resolveAliasesNow()
    try engine.recover()
    engine.planner.limiter = RateLimiter(windows: try engine.ledger.rateLimits())
    if let reader = engine.readers.local { engine.planner.loopGuard = makeLoopGuard(reader) }
    try feed.start()
    engine.waitForNobody()
    ServiceNotifier.ready(status: status.text)
    // In the loop's first turn, after READY.
    timer = engine.timers.callSoon { [unowned self] in
      timer = nil
      stored.load()
      if stored.mayHaveReplays { stored.awaitReplays() }
      intake.beginRetention()
      feed.look()
    }
  }

  private func makeLoopGuard(_ reader: EventReader) -> LoopGuard {
    let files = UnitFiles(of: options.selection.manager)
    return LoopGuard(
      ledger: engine.ledger, effects: { [hooks = engine.hooks] in hooks.hooks.map { ($0.name, $0.effects) } },
      units: reader.tracker.units.keys, hasUnitFile: files.contains
    ) { [reporter = engine.reporter] in reporter.say($0, .cycle, priority: .error) }
  }

  /// Two or three descriptors a run: the soft limit of 1024 is for programs that use select(2); hooks get it back.
  private func raiseDescriptorLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  private var state: FollowStatus {
    var status = FollowStatus()
    hookWatch.describe(in: &status)
    status.suspended = engine.planner.loopGuard?.suspension(at: engine.timers.realtime).hooks ?? 0
    status.isLedgerRefusing = trouble.isRefused || !engine.executor.isWritten
    status.isGapOpen = gaps.isOpen
    return status
  }

  // MARK: The feed

  package var mayLook: Bool {
    phase != .waitingForHooks && phase != .draining && intake.isDone && hookWatch.mayMatch
  }

  /// The journal is the queue: as long as many runs wait, nothing more is read. The executor says when there is room.
  package var hasRoom: Bool { engine.executor.waitingCount < StoredRuns.room && !stored.isMore }

  package var isCatchingUp: Bool { phase == .catchingUp }

  package func take(_ batch: EventReader.Batch, from reader: EventReader) -> Bool {
    gaps.hear(batch, of: reader)
    return intake.take(batch, from: reader, isCatchingUp: isCatchingUp)
  }

  package func found(_ reader: EventReader) throws { try place.resume(reader, &intake.committedTimes) }

  package func lost(_ place: LostPlace, of reader: EventReader) throws { try gaps.judge(place, of: reader) }

  package func passedOver(from before: JournalCursor?, to after: JournalCursor?, of reader: EventReader) {
    let now = engine.timers.realtime
    gaps.report(
      Gap(
        .corrupt, since: before?.realtime ?? now, until: after?.realtime ?? now,
        detail: "An entry that cannot be read is passed over."), of: reader)
  }

  package func filesChanged() { gaps.checkFiles() }

  package func reopened() { gaps.reopened() }

  package func passed(_ ends: [JournalFeed.End]) {
    // Where the manager had nothing to say since its last entry, that one may be gone soon.
    guard intake.isDone else { return }
    for (reader, end) in ends where reader.moveOn(to: end) {
      try? engine.ledger.begin([.init(reader: reader.name, at: .behind(end))])
    }
  }

  package func reachedEnd() {
    gaps.reachedEnd(isFirst: phase == .catchingUp)
    if phase == .catchingUp {
      phase = .following
      engine.planner.isCatchingUp = false
      stored.releaseHeld()
      local?.compare()
    }
    engine.executor.due.scheduleNext()
  }

  package func say(_ message: String, priority: JournalWriter.Priority) {
    engine.reporter.say(message, .trouble, priority: priority)
  }

  /// Takes what a comparison with the live state has found.
  private func takeFound(_ batch: EventReader.Batch) {
    guard let reader = engine.readers.local else { return }
    // What is held for the end of the backlog would wait for ever otherwise.
    if intake.take(batch, from: reader, isCatchingUp: false) { stored.releaseHeld() }
    feed.scheduleFlush()
  }

  // MARK: Runs

  private func committed(_ step: Ledger.Step, _ commit: Ledger.Commit) {
    if engine.reporter.hasTerminal { step.events.forEach(engine.reporter.event) }
    if !commit.others.isEmpty { stored.awaitReplays() }
    if phase == .following, step.planned.contains(where: { $0.rateLimitedInstead != nil }) { stored.reportDropped() }
    gaps.write()
  }

  private func progress() {
    if phase == .draining {
      if engine.executor.isQuiet { engine.loop.exit(0) }
      return
    }
    status.update()
    guard engine.executor.waitingCount < StoredRuns.room / 2 else { return }
    stored.load()
    feed.lookSoon()
  }

  // MARK: Hooks

  /// Reads the hooks again, and goes on with what had to wait for that.
  private func hooksChanged() {
    reloadHooks()
    guard hookWatch.areRead else { return }
    if phase == .waitingForHooks {
      do { try begin() } catch {
        engine.reporter.say("\(error).", .trouble, priority: .error)
        engine.loop.exit(1)
      }
    } else if phase != .draining, intake.match() {
      feed.look()
    }
  }

  /// SIGHUP; the manager waits for the end of it.
  private func reloadIsAsked() {
    ServiceNotifier.reloading(monotonic: engine.timers.monotonic)
    hooksChanged()
    ServiceNotifier.ready(status: status.text)
  }

  private func reloadHooks() {
    let units = Set(engine.hooks.hooks.map(\.hook).mentionedUnits)
    hookWatch.load()
    if let local, phase != .waitingForHooks {
      // Units that are named for the first time may have other names, by which the next event is to be matched.
      let isNew = !units.isSuperset(of: engine.hooks.hooks.map(\.hook).mentionedUnits)
      if isNew { local.resolveAliasesNow() } else { local.resolveAliases() }
      // Of units that are named from now on it has to be known whether they are up.
      local.compare()
    }
    if phase != .draining { status.update() }
  }

  // MARK: Ending

  /// Starts no more runs, and ends when those under way have ended: within two minutes, or at once when asked again.
  private func drain() {
    if phase == .draining { return cutOff() }
    engine.executor.drain()
    stored.stop()
    if phase != .waitingForHooks {
      let ends = feed.ends()
      if !ends.isEmpty {
        feed.look()
        if feed.isAtEnd { passed(ends) }
      }
    }
    phase = .draining
    feed.end()
    ServiceNotifier.stopping(status: "Waiting for the runs under way.")
    interruptWaitingForUs()
    if engine.executor.isQuiet { return engine.loop.exit(0) }
    timer = engine.timers.call(in: Follower.drainTime) { [unowned self] in cutOff() }
  }

  /// A hook that stops or restarts journalhook itself and waits for that would wait for itself.
  private func interruptWaitingForUs() {
    guard let unit = ownUnit() else { return }
    for run in engine.executor.interruptRuns(actingOn: unit) {
      engine.reporter.say(
        "Run \(run.id) of hook \(run.hook) waits for the end of \(unit), which is journalhook itself: it is ended. Use "
          + "systemctl's --no-block there.", .trouble, priority: .warning)
    }
  }

  /// Ends the runs under way. What then still hinders ending is left to the next start, which knows how to deal with it.
  private func cutOff() {
    engine.executor.interruptAll()
    if engine.executor.isQuiet { return engine.loop.exit(0) }
    timer = engine.timers.call(in: Follower.cutOffTime) { [engine] in
      engine.reporter.say(
        "Ending although runs are under way or could not be written down; the next start deals with them.", .trouble,
        priority: .error)
      engine.loop.exit(1)
    }
  }
}
