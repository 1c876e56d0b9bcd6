package import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import RunLedger
internal import Runs
internal import Systemd
internal import TrustedFiles

/// What `journalhook replay` is asked to do.
package struct ReplayOptions: Sendable, RunOptions {
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
package final class Replayer {
  private let options: ReplayOptions
  private let engine: RunEngine
  private let report: (ReplayProgress) -> Void
  /// Those that have not come to the end of the span.
  private var unread: ArraySlice<EventReader>
  package private(set) var progress = ReplayProgress()
  private var isDraining = false
  private var sources: [EventSource] = []
  private var turn: Timer?
  private var drainTimer: Timer?
  private var damageTurn: Timer?
  private var end: AwaitedEnd?
  /// Runs of the span that somebody else has and has not done yet.
  private var others: [Int64] = []
  private var isOthersReported = false
  /// What was read and is not written down yet.
  private var uncommitted: Ledger.Step?
  private var isHeldUpReported = false

  /// How soon a ledger that somebody else holds is tried again, in microseconds.
  private static let retryInterval: UInt64 = 1_000_000
  /// How often it is looked what others have done, in microseconds.
  private static let othersInterval: UInt64 = 200_000

  package init(
    _ options: ReplayOptions, host: any DaemonHost, reporter: Reporter,
    report: @escaping (ReplayProgress) -> Void
  ) throws {
    self.options = options
    self.report = report
    engine = try RunEngine(
      owner: host.replayName, options: options, mode: .replay, host: host, reporter: reporter,
      selection: options.selection)
    let (hooks, configuration) = (engine.hooks, engine.configuration)
    for reader in engine.readers.all { try reader.seek(realtime: options.since) }
    unread = engine.readers.all[...]
    if !options.again { try engine.ledger.requireRuns(since: options.since) }
    try Replayer.load { () throws(TrustError) in try configuration.load() }
    hooks.defaultTimeout = configuration.configuration.defaultTimeout
    engine.executor.jobs = options.jobs ?? configuration.configuration.jobs
    try Replayer.load { () throws(TrustError) in try hooks.load() }
    for diagnostic in configuration.diagnostics + hooks.diagnostics {
      reporter.say("\(diagnostic)", .hookProblem, priority: diagnostic.severity == .error ? .error : .warning)
    }
    if hooks.hooks.isEmpty, !hooks.diagnostics.isEmpty {
      throw HookError(.refused, "None of the hooks can be used: nothing to replay.")
    }
    if options.selection.isLocal {
      hooks.aliases = host.aliases(of: hooks.hooks.map(\.hook), manager: options.selection.manager)
    }
  }

  /// Nothing is replayed for want of descriptors or memory: the runs of hooks that were not read would be missing.
  private static func load(_ body: () throws(TrustError) -> Void) throws(HookError) {
    do throws(TrustError) { try body() } catch {
      throw HookError(.temporary, "The hooks cannot be read now, so nothing is replayed: \(error)")
    }
  }

  /// Begins; the loop ends with 1 if a run failed or not all was done.
  package func start() throws {
    engine.host.prepareProcess()
    sources.append(try engine.loop.watch(signal: SIGTERM) { [unowned self] in drain() })
    sources.append(try engine.loop.watch(signal: SIGINT) { [unowned self] in drain() })
    engine.ledger.onCorruption = { [unowned self] in noteDamage($0) }
    engine.executor.callbacks.isUpToDate = { [unowned self] in unread.isEmpty }
    engine.executor.callbacks.onOutcome = { [unowned self] run, outcome in ended(run, outcome) }
    engine.executor.callbacks.onProgress = { [unowned self] in goOn() }
    try engine.recover()
    try takeLeft()
    engine.limitWaits()
    goOn()
  }

  /// Takes the runs that are this replay's already.
  private func takeLeft() throws {
    let left = try engine.ledger.openRuns(owner: engine.owner, after: 0, limit: .max)
    progress.runs += left.count + (try engine.ledger.waitingRetries(owner: engine.owner).count)
    engine.executor.add(left)
  }

  private func goOn() {
    guard turn == nil else { return }
    turn = engine.timers.callSoon { [unowned self] in
      turn = nil
      read()
    }
  }

  private func goOn(in delay: UInt64) {
    turn = engine.timers.call(in: delay) { [unowned self] in
      turn = nil
      read()
    }
  }

  /// Somebody else holds the ledger: what was to be written is tried again, for as long as it takes.
  private func isHeldUp(by error: any Error) -> Bool {
    guard let error = error as? SQLiteError, error.isBusy else { return false }
    if !isHeldUpReported {
      engine.reporter.say("\(error). The replay waits until it can be written.", .trouble, priority: .warning)
    }
    isHeldUpReported = true
    goOn(in: Replayer.retryInterval)
    return true
  }

  private func read() {
    do {
      if uncommitted == nil, let reader = unread.first, !isDraining, engine.executor.waitingCount < 1000 {
        var batch = try reader.read(limit: 256, until: options.until)
        if batch.isAtEnd {
          unread.removeFirst()
          batch.events += reader.flush(until: nil).events
        }
        uncommitted = Ledger.Step(planned: engine.planner.plan(batch.events, of: engine.readers), events: batch.events)
        uncommitted?.again = options.again
      }
      if let step = uncommitted {
        let commit = try engine.ledger.commit(step, owner: engine.owner, now: engine.timers.realtime)
        uncommitted = nil
        progress.events += step.events.count
        progress.runs += commit.runs.count + commit.waiting
        others += commit.others
        report(progress)
        engine.executor.supersede(commit.superseded)
        engine.executor.add(commit.runs)
        if commit.waiting > 0 {
          engine.executor.due.schedule()
        } else if unread.isEmpty {
          engine.executor.due.scheduleNext()
        }
        if !unread.isEmpty { goOn() }
      }
    } catch {
      if isHeldUp(by: error) { return }
      engine.reporter.say("\(error).", .trouble, priority: .error)
      progress.isIncomplete = true
      unread = []
      uncommitted = nil
      engine.executor.due.scheduleNext()
    }
    if isDraining {
      if engine.executor.isQuiet { finish() }
    } else if unread.isEmpty, engine.executor.isIdle, !engine.executor.due.isWaiting {
      awaitOthers()
    }
  }

  /// All that is this replay's is done. What another replay has of the span is waited for: if that ends without having done it, it
  /// is missing still. What `follow` has is left to it.
  private func awaitOthers() {
    do {
      let open = try engine.ledger.openRuns(among: others)
      let replays = open.filter { $0.key != RunOwner.follow }
      if !isOthersReported { open.sorted { $0.key < $1.key }.forEach(reportOther) }
      isOthersReported = true
      if !replays.isEmpty, replays.keys.contains(where: { engine.ledger.isAlive($0) ?? false }) {
        return goOn(in: Replayer.othersInterval)
      }
      try engine.recoverFromDeadReplays()
      let states = try engine.ledger.states(of: others)
      others = []
      if !replays.isEmpty || states.contains(nil) {
        // Somebody has gone, and not all that it had was done: the span is read once more.
        for reader in engine.readers.all { try reader.seek(realtime: options.since) }
        unread = engine.readers.all[...]
        try takeLeft()
        return goOn()
      }
      let failed = states.filter { $0?.isFailure ?? false }.count
      progress.runs += failed
      progress.done += failed
      progress.failed += failed
    } catch {
      if isHeldUp(by: error) { return }
      engine.reporter.say("\(error).", .trouble, priority: .error)
      progress.isIncomplete = true
    }
    finish()
  }

  private func reportOther(_ owner: String, _ count: Int) {
    let runs = count == 1 ? "1 run of this span belongs" : "\(count) runs of this span belong"
    let what =
      if owner != RunOwner.follow {
        "\(runs) to another replay (\(owner)), which has not done them yet: waiting for it."
      } else if engine.ledger.isAlive(RunOwner.follow) == false {
        "\(runs) to follow, which is not running: it does them when it is started."
      } else {
        "\(runs) to follow, which has not done them yet."
      }
    engine.reporter.showWarning(what)
  }

  private func ended(_ run: Run, _ outcome: RunMachine.Outcome) {
    progress.done += 1
    if outcome.state != .succeeded {
      progress.failed += 1
      engine.reporter.showWarning(
        "Run \(run.id) of hook \(run.hook) for \(run.event.unit) \(run.event.kind.rawValue): \(outcome.state.rawValue)."
      )
    }
    report(progress)
  }

  /// Starts no more runs, and ends when those under way have: within two minutes, or at once when asked again.
  private func drain() {
    if isDraining { return engine.executor.interruptAll() }
    isDraining = true
    engine.executor.drain()
    drainTimer = engine.timers.call(in: FollowEnd.drainTime) { [engine] in engine.executor.interruptAll() }
    goOn()
  }

  /// The follower sets a damaged ledger aside when it starts next, which a replay may not do beside it.
  private func noteDamage(_ error: SQLiteError) {
    guard damageTurn == nil else { return }
    engine.reporter.say("The ledger seems to be damaged: \(error).", .ledgerDamaged, priority: .error)
    isDraining = true
    damageTurn = engine.timers.callSoon { [unowned self] in
      if engine.ledger.problem() == nil, (try? engine.ledger.reopen()) != nil {
        // The disk could not read for a moment; what was not written down is reported as failed.
        isDraining = false
        damageTurn = nil
        return goOn()
      }
      end = AwaitedEnd(of: engine.executor, within: FollowEnd.cutOffTime, timers: engine.timers) { [engine] in
        engine.loop.exit(1)
      }
    }
  }

  private func finish() {
    // What was not begun is not this replay's any more; a later one finds it missing again.
    try? engine.ledger.dropPending(owner: engine.owner)
    engine.loop.exit(progress.failed > 0 || progress.isIncomplete || isDraining ? 1 : 0)
  }
}
