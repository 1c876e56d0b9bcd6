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
  private let engine: RunEngine
  private let hookWatch: HookWatch
  private let intake: RunIntake
  private let stored: StoredRuns
  private let gaps: GapDetector
  private let damage: DamageControl
  private let feed: JournalFeed
  private let status: StatusLine
  private let end: FollowEnd
  /// Where there is a service manager to ask.
  private let local: LocalMachine?
  private var sources: [EventSource] = []
  private var timer: Timer?
  private var phase = FollowPhase.waitingForHooks

  /// Opens everything that following needs, and locks the state directory.
  package init(_ options: FollowOptions, host: any DaemonHost, reporter: Reporter) throws {
    self.options = options
    var selection = options.selection
    selection.includesJournald = selection.isLocal
    try host.lock(stateDirectory: options.stateDirectory)
    engine = try RunEngine(
      owner: RunOwner.follow, options: options, host: host, reporter: reporter, selection: selection)
    let (engine, timers) = (engine, engine.timers)
    let began = timers.moment
    let localReader = engine.readers.local
    localReader?.tracker.currentBoot = engine.boot
    let trouble = LedgerTrouble(reporter: reporter, timers: timers)
    hookWatch = HookWatch(engine.hooks, engine.configuration, reporter: reporter, host: host) {
      try? engine.ledger.loadedHooks()
    }
    let intake = RunIntake(engine, trouble: trouble, again: options.again)
    self.intake = intake
    stored = StoredRuns(engine, trouble: trouble)
    gaps = GapDetector(
      ledger: engine.ledger, reporter: reporter, timers: timers, boot: engine.boot, local: localReader,
      selection: selection)
    damage = DamageControl(engine, trouble: trouble, committed: { intake.committedTimes })
    let feed = JournalFeed(engine.readers, loop: host.loop, timers: timers)
    self.feed = feed
    local = localReader.map {
      LocalMachine(
        $0, hooks: engine.hooks, boot: engine.boot, manager: selection.manager, watch: feed.watch, host: host,
        began: began)
    }
    status = StatusLine(timers: timers)
    end = FollowEnd(engine)
    wire()
  }

  private func wire() {
    let (engine, options) = (engine, options)
    feed.client = self
    status.state = { [unowned self] in state }
    status.suspendedUntil = { engine.planner.loopGuard?.suspension(at: engine.timers.realtime).until }
    let update = { [unowned self] in if phase != .draining { status.update() } }
    intake.trouble.onChange = update
    intake.trouble.retry = { [unowned self] in
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
    intake.mayCommit = { [unowned self] in damage.checkPlace() }
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
    feed.watch.manager.onShutdown = { engine.executor.systemGoesDown($0) }
  }

  // MARK: Starting

  /// Begins; everything else happens while the loop runs.
  package func start() throws {
    engine.host.prepareProcess()
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
    if let reader = engine.readers.local {
      engine.planner.loopGuard = LoopGuard(engine, reader, manager: options.selection.manager)
    }
    try feed.start()
    engine.limitWaits()
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

  private var state: FollowStatus {
    var status = FollowStatus()
    hookWatch.describe(in: &status)
    status.suspended = engine.planner.loopGuard?.suspension(at: engine.timers.realtime).hooks ?? 0
    status.isLedgerRefusing = intake.trouble.isRefused || !engine.executor.isWritten
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
      try? engine.ledger.begin([.init(reader: reader.name, at: .after(end))])
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
    _ = damage.checkPlace()
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
    if phase != .waitingForHooks { local?.hooksHaveChanged(since: units) }
    if phase != .draining { status.update() }
  }

  // MARK: Ending

  /// Starts no more runs, and ends when those under way have ended.
  private func drain() {
    guard phase != .draining else { return end.cutOff() }
    engine.executor.drain()
    stored.stop()
    // Where the manager had nothing to say since its last entry, the place moves on to the end.
    let ends = phase == .waitingForHooks ? [] : feed.ends()
    if !ends.isEmpty {
      feed.look()
      if feed.isAtEnd { passed(ends) }
    }
    phase = .draining
    feed.end()
    end.begin()
  }
}
