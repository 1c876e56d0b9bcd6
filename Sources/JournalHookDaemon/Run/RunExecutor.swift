internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import RunLedger
internal import Runs
internal import Systemd

/// Does runs: begins them when the scheduler says so, and writes down what became of them.
package final class RunExecutor {
  /// What the executor asks and reports.
  struct Callbacks {
    /// A run has its outcome.
    var onOutcome: ((Run, RunMachine.Outcome) -> Void)?
    /// There is room for more runs, or nothing is left to do.
    var onProgress: (() -> Void)?
    /// A run's time has come: what has happened until then is to be read now.
    var onDue: (() -> Void)?
    /// Whether a unit has taken the opposite turn since an event.
    var hasTurnedBack: (LifecycleEvent) -> Bool = { _ in false }
    /// Whether all that has happened until now was read, so that a unit that has not taken the opposite turn has settled.
    var isUpToDate: () -> Bool = { true }
  }

  /// Whose runs these are in the ledger: `follow`, or one `replay`.
  let owner: String
  let timers: any Timers
  let ledger: Ledger
  let host: any RunHost
  let reporter: Reporter
  /// This boot, where events of earlier boots are to be distinguished from those of this one.
  let boot: CurrentBoot?
  var callbacks = Callbacks()
  private var scheduler: RunScheduler
  private var active: [Int64: any RunAttempt] = [:]
  private let writer: LedgerRetries
  private let starter: RunStarter
  let due: DueRuns
  private var putOffs: [Int64: Timer] = [:]
  private var turn: Timer?

  /// How soon what could not be done is tried again, in microseconds.
  static let retryInterval: UInt64 = 1_000_000
  /// How many runs of a series are read from the ledger at once.
  static let portion = 64

  init(
    owner: String, timers: any Timers, ledger: Ledger, host: any RunHost, reporter: Reporter, jobs: Int,
    boot: CurrentBoot?
  ) {
    self.boot = boot
    self.owner = owner
    self.timers = timers
    self.ledger = ledger
    self.host = host
    self.reporter = reporter
    scheduler = RunScheduler(limit: jobs)
    writer = LedgerRetries(timers: timers, reporter: reporter)
    starter = RunStarter(
      owner: owner, ledger: ledger, host: host, reporter: reporter, timers: timers, writer: writer)
    due = DueRuns(owner: owner, timers: timers, ledger: ledger, host: host, boot: boot)
    due.executor = self
    writer.onWritten = { [unowned self] in
      startNext()
      due.scheduleNext()
      callbacks.onProgress?()
    }
  }

  /// How many runs may be under way at once.
  var jobs: Int {
    get { scheduler.limit }
    set {
      scheduler.limit = newValue
      startNext()
    }
  }

  /// The number of runs that wait for their turn.
  var waitingCount: Int { scheduler.waitingCount }

  /// Whether nothing waits for its turn, runs or is left of what ran.
  var isIdle: Bool { scheduler.isIdle && isQuiet }

  /// Whether all that became of runs is in the ledger.
  var isWritten: Bool { writer.isDone }

  /// Whether nothing runs and nothing is left of what ran.
  var isQuiet: Bool { active.isEmpty && writer.isDone }

  /// Whether runs may begin that wait for a time: all is written down, and no end is asked for.
  var mayBegin: Bool { !scheduler.isDraining && writer.isDone }

  /// Takes runs that are in the ledger.
  func add(_ runs: [Run]) {
    for run in runs where !scheduler.knows(run.id) {
      if isOfEarlierBoot(run) {
        let outcome = RunMachine.Outcome(
          state: .stale, reason: "the system has booted since, and the hook does not say PreviousBoots=yes")
        write { [ledger, owner, timers] in
          try ledger.record(outcome, of: run, owner: owner, now: timers.realtime)
        }
        reporter.ended(run, outcome)
        takeUp(scheduler.superseded(run))
      } else {
        scheduler.add(run, isParallel: host.definition(of: run.hook)?.parallel ?? false)
      }
    }
    startNext()
  }

  /// Whether a boot lies between the event and now, so that what the hook would do is about a system that is gone.
  func isOfEarlierBoot(_ run: Run) -> Bool {
    guard let boot, boot.isLater(than: run.event) else { return false }
    // Who answers the failure of a hook for earlier boots is for them, too.
    let chain = run.failed == nil ? [run.hook] : (try? ledger.failureChain(of: run.id)) ?? [run.hook]
    return !chain.contains { host.definition(of: $0)?.previousBoots == true }
  }

  /// Runs that an event has superseded while they waited.
  func supersede(_ runs: [Run]) {
    for run in runs {
      let series = scheduler.superseded(run)
      reporter.ended(run, .init(state: .superseded, reason: "the unit has taken the opposite turn since"))
      takeUp(series)
    }
    if !runs.isEmpty { startNext() }
  }

  /// A run of an earlier process waits to be tried again: its series waits for it.
  func hold(_ run: Run) { scheduler.hold(run) }

  /// Writes to the ledger; what it refuses is kept, and no run starts until it was written.
  func write(_ body: @escaping () throws -> Void) { writer.write(body) }

  // MARK: Ends

  /// Starts no more runs; those under way go on.
  func drain() {
    scheduler.drain()
    due.stop()
  }

  /// Ends the runs under way; they will be run again.
  func interruptAll() {
    for attempt in active.values { attempt.interrupt() }
  }

  /// Ends those runs under way whose hooks are known to act on a unit, and returns them.
  func interruptRuns(actingOn unit: String) -> [Run] {
    let attempts = active.values.filter { $0.acts(on: unit) }
    for attempt in attempts { attempt.interrupt() }
    return attempts.map(\.run)
  }

  /// Whether nothing is left of any attempt.
  var isEmpty: Bool { active.isEmpty }

  /// The system goes down, or does so no longer. No run begins meanwhile, but those of hooks with `DuringShutdown=yes`: a
  /// unit that is stopped by a shutdown is no trouble. The others stay pending, and after the boot are of an earlier one.
  func systemGoesDown(_ isGoingDown: Bool) {
    scheduler.isShutdown = isGoingDown
    startNext()
  }

  // MARK: Starting

  func startNext() {
    while writer.isDone,
      let run = scheduler.next(runsDuringShutdown: { self.host.definition(of: $0.hook)?.duringShutdown == true })
    {
      start(run)
    }
  }

  private func start(_ run: Run) {
    let result = starter.start(
      run,
      connect: { attempt in
        let definition = attempt.definition
        attempt.onOutcome = { [unowned self] in end(run, $0, definition) }
        attempt.onRelease = { [unowned self] in released(run) }
        active[run.id] = attempt
      }, disconnect: { _ in active[run.id] = nil })
    switch result {
    case .begun: break
    case .ended(let outcome, let definition):
      end(run, outcome, definition)
      scheduler.released(run)
    case .putOff(let time):
      scheduler.putOff(run)
      putOffs[run.id] = timers.call(in: time) { [unowned self] in
        putOffs[run.id] = nil
        if scheduler.resume(run) { start(run) } else { startNext() }
      }
    }
  }

  // MARK: Outcomes

  /// An attempt has its outcome: writes it down with what follows, and lets the lane go on.
  private func end(_ run: Run, _ outcome: RunMachine.Outcome, _ definition: HookDefinition?) {
    let (outcome, consequence) = settle(run, outcome, definition)
    write { [unowned self] in
      let answer = try ledger.record(outcome, of: run, consequence, owner: owner, now: timers.realtime)
      if let answer { add([answer]) }
    }
    reporter.ended(
      run, outcome, consequence, endsWithBoot: scheduler.isShutdown && definition?.previousBoots == false)
    if case .retry = consequence {
      _ = scheduler.ended(run, isRetried: true)
      due.schedule()
    } else {
      takeUp(scheduler.ended(run, isRetried: false))
      callbacks.onOutcome?(run, outcome)
    }
    // In a turn of its own: a chain of runs that all fail at once must not become a chain of calls.
    turn = timers.callSoon { [unowned self] in
      startNext()
      callbacks.onProgress?()
    }
  }

  /// What an outcome comes to: a failure may be tried again, or answered by another hook.
  private func settle(
    _ run: Run, _ outcome: RunMachine.Outcome, _ definition: HookDefinition?
  ) -> (RunMachine.Outcome, RunConsequence) {
    switch RetryPolicy.decide(outcome, of: run, definition, hasTurnedBack: { callbacks.hasTurnedBack(run.event) }) {
    case .final: return (outcome, .final)
    case .rerun: return (outcome, .rerun)
    case .retry(let delay): return (outcome, .retry(after: delay, due: timers.now.adding(delay)))
    case .failure:
      return (outcome, definition.map { FailureAnswer.find(to: run, $0, host, ledger) } ?? .final)
    case .superseded:
      var overtaken = outcome
      overtaken.state = .superseded
      overtaken.reason = "it failed, and is not tried again, as the unit has taken the opposite turn since"
      return (overtaken, .final)
    }
  }

  /// Reads the runs of a series that were left in the ledger.
  private func takeUp(_ series: RunSeries?) {
    guard let series else { return }
    write { [unowned self] in
      let runs = try ledger.openRuns(owner: owner, after: 0, limit: RunExecutor.portion, of: series)
      scheduler.takeUp(series)
      add(runs)
      if runs.count == RunExecutor.portion { scheduler.leave(series) }
    }
  }

  /// Nothing is left of an attempt.
  private func released(_ run: Run) {
    active[run.id] = nil
    scheduler.released(run)
    if active.isEmpty { host.endStrays() }
    write { [ledger] in try ledger.release(run) }
    startNext()
    callbacks.onProgress?()
  }
}

extension Timers {
  /// Both clocks.
  var now: DueTime { DueTime(monotonic: monotonic, realtime: realtime) }
}
