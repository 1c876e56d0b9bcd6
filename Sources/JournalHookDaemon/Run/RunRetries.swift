internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import RunLedger
internal import Runs
internal import Systemd

/// Which runs wait behind one that will be tried again.
///
/// A retry holds only its own hook's later runs for the unit. These stay in the ledger, so that they take no room from others.
struct RetryHolds {
  /// The run of each series that waits to be tried again.
  private var blockers: [Ledger.Series: Int64] = [:]
  /// Series of which runs were left in the ledger.
  private var left: Set<Ledger.Series> = []

  /// Whether a run is left in the ledger for now.
  mutating func keepBack(_ run: Run) -> Bool {
    let series = Ledger.Series(run)
    if let blocker = blockers[series] {
      if blocker == run.id { return false }
    } else if !left.contains(series) {
      return false
    }
    left.insert(series)
    return true
  }

  mutating func block(_ run: Run) { blockers[Ledger.Series(run)] = run.id }

  /// The run has its outcome; whether runs of its series were left in the ledger, which may go on now.
  mutating func unblock(_ run: Run) -> Bool {
    let series = Ledger.Series(run)
    if blockers[series] == run.id { blockers[series] = nil }
    return blockers[series] == nil && left.contains(series)
  }

  mutating func leave(_ series: Ledger.Series) { left.insert(series) }

  /// The series is read from the ledger again.
  mutating func takeUp(_ series: Ledger.Series) { left.remove(series) }
}

/// What follows a failure, and runs that wait for their time.
extension RunExecutor {
  /// The longest delay before a retry, in microseconds, unless the hook's first one is longer.
  private static let longestDelay: UInt64 = 300_000_000
  /// How many runs of a series are read from the ledger at once.
  private static let portion = 64

  /// What an outcome comes to: a failure may be tried again, or answered by another hook.
  func settle(
    _ run: Run, _ outcome: RunMachine.Outcome, _ definition: HookDefinition?
  ) -> (RunMachine.Outcome, Ledger.Consequence) {
    guard let definition else { return (outcome, .final) }
    if outcome.state == .interrupted { return (outcome, definition.rerunInterrupted ? .rerun : .final) }
    guard outcome.state.isFailure else { return (outcome, .final) }
    if run.retries < definition.retryCount {
      if hasTurnedBack(run.event) {
        var overtaken = outcome
        overtaken.state = .superseded
        overtaken.reason = "it failed, and is not tried again, as the unit has turned back since"
        return (overtaken, .final)
      }
      let doubled = definition.retryDelay.microseconds.multipliedReportingOverflow(
        by: 1 << min(UInt64(run.retries), 40))
      let delay = min(
        doubled.overflow ? .max : doubled.partialValue,
        max(RunExecutor.longestDelay, definition.retryDelay.microseconds))
      return (outcome, .retry(after: delay, due: DueTime.now().adding(delay)))
    }
    return (outcome, answer(to: run, definition))
  }

  /// What follows a final failure: the run of the hook that `OnHookFailure=` names, or why there is none.
  private func answer(to run: Run, _ definition: HookDefinition) -> Ledger.Consequence {
    guard let name = definition.onHookFailure else { return .final }
    if let reason = hooks.absence(of: name) { return .unanswered(reason) }
    // The hooks whose failures have led to this one, the oldest first: none of them answers again, or it would never end.
    let chain = (try? ledger.failureChain(of: run.id)) ?? [run.failed?.hook, run.hook].compactMap { $0 }
    if chain.contains(name) {
      return .unanswered(
        "its OnHookFailure= closes the cycle \((chain + [name]).joined(separator: " → ")), which ends here")
    }
    var mend = PlannedRun(event: run.event, hook: name, mode: run.mode)
    mend.cause = run.id
    mend.isParallel = hooks.hook(named: name)?.definition.parallel ?? false
    return .mended(by: mend)
  }

  /// Has failures answered that were found after a crash.
  func answer(failures: [Int64]) throws {
    for run in try failures.flatMap({ try ledger.runs(where: "id = ?", [.integer($0)]) }) {
      guard let definition = hooks.hook(named: run.hook)?.definition else { continue }
      switch answer(to: run, definition) {
      case .mended(let planned): try ledger.answer(run, by: planned, owner: owner, now: Clock.now().microseconds)
      case .unanswered(let reason):
        reporter.say(
          "The failure of run \(run.id) of hook \(run.hook) is not answered: \(reason).", .runFailed, priority: .error)
      default: continue
      }
    }
  }

  // MARK: Retries

  /// The run will be tried again: its series waits.
  func hold(_ run: Run) {
    retries.block(run)
    let series = Ledger.Series(run)
    let behind = waiting.values.filter { Ledger.Series($0) == series }.map(\.id)
    if !behind.isEmpty {
      queue.remove(from: lane(of: run)) { behind.contains($0) }
      for id in behind { waiting[id] = nil }
      retries.leave(series)
    }
    hasWaiting = true
    scheduleDue()
  }

  /// The run has its outcome: its series goes on, if it was held.
  func letGo(_ run: Run) {
    let series = Ledger.Series(run)
    guard retries.unblock(run), !holds(series, besides: run.id) else { return }
    write { [unowned self] in
      let runs = try ledger.openRuns(owner: owner, after: 0, limit: RunExecutor.portion, of: series)
      retries.takeUp(series)
      add(runs)
      if runs.count == RunExecutor.portion { retries.leave(series) }
    }
  }

  /// Runs that an event has superseded while they waited.
  func supersede(_ runs: [Run]) {
    for run in runs {
      if waiting.removeValue(forKey: run.id) != nil { queue.remove(from: lane(of: run)) { $0 == run.id } }
      reporter.ended(run, .init(state: .superseded, reason: "the unit has turned back since"))
      letGo(run)
    }
    if !runs.isEmpty { startNext() }
  }

  // MARK: Times

  /// Takes up what waits in the ledger from before. To be called once, before runs are added.
  func restoreWaiting() throws {
    try ledger.startClock(boot: Id128.boot(), now: .now())
    try takeUpWaiting()
  }

  /// Takes up what waits in the ledger and became this owner's.
  func takeUpWaiting() throws {
    for run in try ledger.waitingRetries(owner: owner) { retries.block(run) }
    hasWaiting = true
    scheduleDue()
  }

  /// Has runs begin when they are due. Until all that has happened was read it is not known whether they are superseded; so
  /// this is to be called then, too.
  func scheduleDue() {
    guard hasWaiting, !isDraining, writer.isDone, isUpToDate() else { return }
    guard let due = (try? ledger.nextDue(owner: owner)) ?? nil else {
      hasWaiting = (try? ledger.nextDue(owner: owner)) != .some(nil)
      return
    }
    let now = Clock.monotonic()
    dueTimer = try? loop.schedule(at: loop.now() &+ (due > now ? due - now : 0)) { [unowned self] in
      dueTimer = nil
      onDue?()
      releaseDue()
    }
  }

  /// Lets those runs go whose time has come.
  private func releaseDue() {
    write { [unowned self] in
      var isMore = isUpToDate()
      while isMore {
        let runs = try ledger.takeDue(owner: owner, now: Clock.monotonic(), limit: RunExecutor.portion)
        add(runs.filter { !putOffForStart($0) })
        isMore = runs.count == RunExecutor.portion
      }
    }
    startNext()
    scheduleDue()
  }

  /// Has a retry wait on whose unit went down in an earlier boot and is about to be started in this one.
  private func putOffForStart(_ run: Run) -> Bool {
    guard run.retries > 0, run.event.kind.turn == .down, let boot, boot.isLater(than: run.event),
      conditions.hasJob(run.event.unit)
    else { return false }
    return (try? ledger.putOff(run, until: DueTime.now().adding(RunExecutor.retryInterval))) != nil
  }
}

extension DueTime {
  static func now() -> DueTime { DueTime(monotonic: Clock.monotonic(), realtime: Clock.now().microseconds) }
}
