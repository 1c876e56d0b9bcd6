package import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import RunLedger
internal import Runs
package import Systemd
internal import TrustedFiles

/// What `journalhook replay` is asked to do.
package struct ReplayOptions: Sendable {
  package var selection: JournalSelection
  package var stateDirectory: String
  package var hookDirectories: [String]
  /// The span of events, in microseconds since 1970.
  package var since: UInt64
  package var until: UInt64 = .max
  package var again = false
  /// How many runs may be under way at once; nil: what the configuration says.
  package var jobs: Int?
  /// Where `journalhook.conf` may be.
  package var configurationPaths: [String] = []

  package init(selection: JournalSelection, stateDirectory: String, hookDirectories: [String], since: UInt64) {
    self.selection = selection
    self.stateDirectory = stateDirectory
    self.hookDirectories = hookDirectories
    self.since = since
  }
}

/// How far a replay is.
package struct ReplayProgress: Sendable, Equatable {
  package var events = 0
  /// Runs that the ledger did not have.
  package var runs = 0
  package var done = 0
  package var failed = 0
  /// Whether something else than a run has failed, so that not all of the span was dealt with.
  package var isIncomplete = false
}

/// Does the runs of a past span that are missing in the ledger, and ends. No cursor is moved.
package actor Replayer {
  private nonisolated let loop: EventLoop
  private let options: ReplayOptions
  private let ledger: Ledger
  private let reporter: Reporter
  private let executor: RunExecutor
  private let planner: RunPlanner
  private let report: (ReplayProgress) -> Void
  private let readers: EventReaders
  /// Those that have not come to the end of the span.
  private var unread: ArraySlice<EventReader>
  package private(set) var progress = ReplayProgress()
  private var isDraining = false
  private var sources: [EventSource] = []
  private var turn: EventSource?
  private var drainTimer: EventSource?
  /// Runs of the span that somebody else has and has not done yet.
  private var others: [Int64] = []
  private var othersTimer: EventSource?
  private var isOthersTold = false
  /// What was read and is not written down yet.
  private var uncommitted: Ledger.Step?
  private var isHeldUpTold = false
  private let owner = RunOwner().name
  private let hooks: HookStore

  package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  package init(
    _ options: ReplayOptions, loop: EventLoop, reporter: sending Reporter,
    report: sending @escaping (ReplayProgress) -> Void
  ) throws {
    self.loop = loop
    self.options = options
    self.reporter = reporter
    self.report = report
    readers = try JournalAccess.open(options.selection)
    for reader in readers.all { try reader.seek(realtime: options.since) }
    unread = readers.all[...]
    ledger = try Ledger(stateDirectory: options.stateDirectory)
    if !options.again { try ledger.requireMemory(since: options.since) }
    let hooks = HookStore(directories: options.hookDirectories, requiresHost: !options.selection.isLocal)
    let configuration = ConfigurationStore(paths: options.configurationPaths)
    try Replayer.load { () throws(TrustError) in try configuration.load() }
    hooks.defaultTimeout = configuration.configuration.defaultTimeout
    try Replayer.load { () throws(TrustError) in try hooks.load() }
    for diagnostic in configuration.diagnostics + hooks.diagnostics {
      reporter.say("\(diagnostic)", .hookProblem, priority: diagnostic.severity == .error ? .error : .warning)
    }
    if hooks.hooks.isEmpty, !hooks.diagnostics.isEmpty {
      throw HookError(.refused, "None of the hooks can be used: nothing to replay.")
    }
    self.hooks = hooks
    let boot = try ManagerConnection.currentBoot()
    planner = RunPlanner(hooks: hooks, boot: boot, mode: .replay)
    if options.selection.isLocal {
      hooks.aliases = ManagerConnection.aliases(of: hooks, manager: options.selection.manager)
    }
    executor = RunExecutor(
      owner: owner, loop: loop, ledger: ledger, hooks: hooks, reporter: reporter, containment: Containment.establish(),
      jobs: options.jobs ?? configuration.configuration.jobs, boot: options.selection.isLocal ? boot : nil,
      manager: options.selection.manager)
  }

  /// Nothing is replayed for want of descriptors or memory: the runs of hooks that were not read would be missing.
  private static func load(_ body: () throws(TrustError) -> Void) throws(HookError) {
    do throws(TrustError) { try body() } catch {
      throw HookError(.temporary, "The hooks cannot be read now, so nothing is replayed: \(error)")
    }
  }

  /// Begins; the loop ends with 1 if a run failed or not all was done.
  package func start() throws {
    EventLoop.block([SIGCHLD, SIGPIPE])
    sources.append(try loop.watch(signal: SIGTERM) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGINT) { [unowned self] in drain() })
    ledger.database.onCorruption = { [unowned self] in noteDamage($0) }
    let failures = try recoverFromCrash(ledger, owner: owner, hooks: hooks, reporter, isStale: executor.isOfEarlierBoot)
    try executor.answer(failures: failures)
    executor.hasTurnedBack = { [readers] in readers.hasTurnedBack(since: $0) }
    executor.isUpToDate = { [unowned self] in unread.isEmpty }
    try executor.restoreWaiting()
    executor.onOutcome = { [unowned self] run, outcome in ended(run, outcome) }
    executor.onProgress = { [unowned self] in goOn() }
    let left = try ledger.openRuns(owner: owner, after: 0, limit: .max)
    progress.runs += left.count
    executor.add(left)
    ledger.database.busyTimeout = Ledger.busyTimeout
    goOn()
  }

  private func goOn() {
    guard turn == nil else { return }
    turn = try? loop.schedule { [unowned self] in
      turn = nil
      read()
    }
  }

  private func goOn(in delay: UInt64) {
    turn = try? loop.schedule(at: loop.now() + delay) { [unowned self] in
      turn = nil
      read()
    }
  }

  /// Somebody else holds the ledger: what was to be written is tried again, for as long as it takes.
  private func isHeldUp(by error: any Error) -> Bool {
    guard let error = error as? SQLiteError, error.isBusy else { return false }
    if !isHeldUpTold {
      reporter.say("\(error). The replay waits until it can be written.", .trouble, priority: .warning)
    }
    isHeldUpTold = true
    goOn(in: Follower.retryInterval)
    return true
  }

  private func read() {
    do {
      if uncommitted == nil, let reader = unread.first, !isDraining, executor.waitingCount < 1000 {
        var batch = try reader.read(limit: 256, until: options.until)
        if batch.isAtEnd {
          unread.removeFirst()
          batch.events += reader.flush(until: nil).events
        }
        uncommitted = Ledger.Step(planned: planner.plan(batch.events, of: readers), events: batch.events)
        uncommitted?.again = options.again
      }
      if let step = uncommitted {
        let commit = try ledger.commit(step, owner: owner, now: Clock.now().microseconds)
        uncommitted = nil
        progress.events += step.events.count
        progress.runs += commit.runs.count + commit.waiting
        others += commit.others
        report(progress)
        executor.supersede(commit.superseded)
        executor.add(commit.runs)
        executor.hasWaiting = executor.hasWaiting || commit.waiting > 0
        if unread.isEmpty { executor.scheduleDue() }
        if !unread.isEmpty { goOn() }
      }
    } catch {
      if isHeldUp(by: error) { return }
      reporter.say("\(error).", .trouble, priority: .error)
      progress.isIncomplete = true
      unread = []
      uncommitted = nil
      executor.scheduleDue()
    }
    if isDraining {
      if executor.isQuiet { end() }
    } else if unread.isEmpty, executor.isIdle, !executor.hasWaiting {
      awaitOthers()
    }
  }

  /// All that is this replay's is done. What another replay has of the span is waited for: if that ends without having done it, it
  /// is missing still. What `follow` has is left to it.
  private func awaitOthers() {
    guard othersTimer == nil else { return }
    do {
      let open = try ledger.openRuns(among: others)
      let replays = open.filter { $0.key != RunOwner.follow }
      if !isOthersTold { open.sorted { $0.key < $1.key }.forEach(tellOther) }
      isOthersTold = true
      if !replays.isEmpty, replays.keys.contains(where: { RunOwner($0)?.isAlive ?? false }) {
        othersTimer = try loop.schedule(at: loop.now() + Replayer.othersInterval) { [unowned self] in
          othersTimer = nil
          goOn()
        }
        return
      }
      let failures = try recoverFromDeadReplays(
        ledger, owner: owner, hooks: hooks, reporter, isStale: executor.isOfEarlierBoot)
      try executor.answer(failures: failures)
      let states = try ledger.states(of: others)
      others = []
      if !replays.isEmpty || states.contains(nil) {
        // Somebody has gone, and not all that it had was done: the span is read once more.
        for reader in readers.all { try reader.seek(realtime: options.since) }
        unread = readers.all[...]
        let left = try ledger.openRuns(owner: owner, after: 0, limit: .max)
        progress.runs += left.count
        executor.add(left)
        return goOn()
      }
      let failed = states.filter { $0?.isFailure ?? false }.count
      progress.runs += failed
      progress.done += failed
      progress.failed += failed
    } catch {
      if isHeldUp(by: error) { return }
      reporter.say("\(error).", .trouble, priority: .error)
      progress.isIncomplete = true
    }
    end()
  }

  private func tellOther(_ owner: String, _ count: Int) {
    let runs = count == 1 ? "1 run of this span belongs" : "\(count) runs of this span belong"
    let what =
      if owner != RunOwner.follow {
        "\(runs) to another replay (\(owner)), which has not done them yet: waiting for it."
      } else if LedgerLock.isHeld(in: options.stateDirectory) == false {
        "\(runs) to follow, which is not running: it does them when it is started."
      } else {
        "\(runs) to follow, which has not done them yet."
      }
    reporter.alsoWarn(what)
  }

  /// How often it is looked what others have done, in microseconds.
  private static let othersInterval: UInt64 = 200_000

  private func ended(_ run: Run, _ outcome: RunMachine.Outcome) {
    progress.done += 1
    if outcome.state != .succeeded {
      progress.failed += 1
      reporter.alsoWarn(
        "Run \(run.id) of hook \(run.hook) for \(run.event.unit) \(run.event.kind.rawValue): \(outcome.state.rawValue)."
      )
    }
    report(progress)
  }

  /// Starts no more runs, and ends when those under way have: within two minutes, or at once when asked again.
  private func drain() {
    if isDraining { return executor.interruptAll() }
    isDraining = true
    executor.drain()
    drainTimer = try? loop.schedule(at: loop.now() + Follower.drainTime) { [unowned self] in executor.interruptAll() }
    goOn()
  }

  /// The follower sets a damaged ledger aside when it starts next, which a replay may not do beside it.
  private func noteDamage(_ error: SQLiteError) {
    guard damageTurn == nil else { return }
    reporter.say("The ledger seems to be damaged: \(error).", .ledgerDamaged, priority: .error)
    isDraining = true
    damageTurn = try? loop.schedule { [unowned self] in
      if ledger.problem() == nil, (try? ledger.database.reopen()) != nil {
        // The disk could not read for a moment; what was not written down is told as failed.
        isDraining = false
        damageTurn = nil
        return goOn()
      }
      executor.endAll(within: Follower.cutOffTime) { [loop] in loop.exit(1) }
    }
  }
  private var damageTurn: EventSource?

  private func end() {
    // What was not begun is not this replay's any more; a later one finds it missing again.
    try? ledger.dropPending(owner: owner)
    loop.exit(progress.failed > 0 || progress.isIncomplete || isDraining ? 1 : 0)
  }
}
