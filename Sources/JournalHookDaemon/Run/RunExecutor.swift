internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import RunLedger
internal import Runs
internal import Systemd

/// Does runs: takes them from the queue when their turn comes, creates their processes, and writes down what became of them.
package final class RunExecutor {
  /// Whose runs these are in the ledger: `follow`, or one `replay`.
  let owner: String
  let loop: EventLoop
  let ledger: Ledger
  let hooks: HookStore
  let reporter: Reporter
  private let containment: Containment
  let conditions: ConditionCheck
  var queue: RunQueue
  /// Runs that wait in the queue.
  var waiting: [Int64: Run] = [:]
  private var active: [Int64: ActiveRun] = [:]
  var writer: LedgerWriter
  private(set) var isDraining = false
  /// Runs whose beginning is put off for a moment; their lanes wait with them.
  private var delayed: [Int64: EventSource] = [:]
  /// Runs whose hook was not there when their turn came, once.
  private var secondChances: Set<Int64> = []
  /// This boot, where events of earlier boots are to be told from those of this one.
  let boot: CurrentBoot?
  /// Series of runs of which one waits to be tried again.
  var retries = RetryHolds()
  /// Whether runs may wait for a time.
  var hasWaiting = false
  var dueTimer: EventSource?
  private var startSource: EventSource?
  /// Whether it was said already that runs cannot begin.
  private var isStuck = false
  private var isShutdown = false

  /// Called when a run has its outcome.
  var onOutcome: ((Run, RunMachine.Outcome) -> Void)?
  /// Called when there is room for more runs, or nothing is left to do.
  var onProgress: (() -> Void)?
  /// Whether a unit has taken the opposite turn since an event.
  var hasTurnedBack: (LifecycleEvent) -> Bool = { _ in false }
  /// Called when a run's time has come: to read what has happened until then.
  var onDue: (() -> Void)?
  /// Whether all that has happened until now was read, so that a unit that has not turned back has settled.
  var isUpToDate: () -> Bool = { true }

  static let retryInterval: UInt64 = 1_000_000
  /// How often to look whether another process has done its run of the same unit.
  private static let turnInterval: UInt64 = 50_000

  init(
    owner: String, loop: EventLoop, ledger: Ledger, hooks: HookStore, reporter: Reporter, containment: Containment,
    jobs: Int, boot: CurrentBoot?, manager: Manager
  ) {
    self.boot = boot
    self.owner = owner
    self.loop = loop
    self.ledger = ledger
    self.hooks = hooks
    self.reporter = reporter
    self.containment = containment
    conditions = ConditionCheck(manager: manager)
    queue = RunQueue(limit: jobs)
    writer = LedgerWriter(loop: loop, reporter: reporter)
    writer.onWritten = { [unowned self] in
      startNext()
      onProgress?()
    }
  }

  /// How many runs may be under way at once.
  var jobs: Int {
    get { queue.limit }
    set {
      queue.limit = max(1, newValue)
      startNext()
    }
  }

  /// The number of runs that wait for their turn.
  var waitingCount: Int { queue.waiting }

  /// Whether nothing waits for its turn, runs or is left of what ran.
  var isIdle: Bool { queue.waiting == 0 && delayed.isEmpty && isQuiet }

  /// Whether all that became of runs is in the ledger.
  var isWritten: Bool { writer.isDone }

  /// Whether nothing runs and nothing is left of what ran.
  var isQuiet: Bool { active.isEmpty && writer.isDone }

  /// Takes runs that are in the ledger.
  func add(_ runs: [Run]) {
    for run in runs where !isKnown(run.id) {
      if isOfEarlierBoot(run) {
        let outcome = RunMachine.Outcome(
          state: .stale, reason: "the system has booted since, and the hook does not say PreviousBoots=yes")
        write { [ledger, owner] in
          try ledger.record(outcome, of: run, owner: owner, now: Clock.now().microseconds)
        }
        reporter.ended(run, outcome)
        continue
      }
      if retries.keepBack(run) { continue }
      waiting[run.id] = run
      queue.enqueue(run.id, in: lane(of: run))
    }
    startNext()
  }

  private func isKnown(_ id: Int64) -> Bool { waiting[id] != nil || active[id] != nil || delayed[id] != nil }

  /// Whether a boot lies between the event and now, so that what the hook would do is about a system that is gone.
  func isOfEarlierBoot(_ run: Run) -> Bool {
    guard let boot, boot.isLater(than: run.event) else { return false }
    // Who answers the failure of a hook for earlier boots is for them, too.
    let chain = run.failed == nil ? [run.hook] : (try? ledger.failureChain(of: run.id)) ?? [run.hook]
    return !chain.contains { hooks.hook(named: $0)?.definition.previousBoots == true }
  }

  func lane(of run: Run) -> RunQueue.Lane {
    RunQueue.Lane(
      machine: run.event.machine, unit: run.event.unit, hook: isParallel(run) ? run.hook : nil)
  }

  private func isParallel(_ run: Run) -> Bool { hooks.hook(named: run.hook)?.definition.parallel ?? false }

  /// Whether another run of the series waits in the queue or is under way.
  func holds(_ series: Ledger.Series, besides own: Int64) -> Bool {
    (Array(waiting.values) + active.values.map(\.run)).contains { $0.id != own && Ledger.Series($0) == series }
  }

  // MARK: Ends

  /// Starts no more runs; those under way go on.
  func drain() {
    isDraining = true
    dueTimer = nil
  }

  /// Ends the runs under way; they will be run again.
  func interruptAll() {
    for run in active.values { perform(run.machine.interrupt(), for: run) }
  }

  /// Ends those runs under way whose hooks are known to act on a unit, and returns them.
  func interruptRuns(actingOn unit: String) -> [Run] {
    let runs = active.values.filter { $0.hook.effects.touches(unit, of: $0.run.event.unit) }
    for run in runs { perform(run.machine.interrupt(), for: run) }
    return runs.map(\.run)
  }

  /// Ends the runs under way where no more can be written down, and calls when nothing is left of them, or in so many
  /// microseconds.
  func endAll(within time: UInt64, then done: @escaping () -> Void) {
    isDraining = true
    interruptAll()
    awaitEnd(until: loop.now() + time, done)
  }

  private func awaitEnd(until deadline: UInt64, _ done: @escaping () -> Void) {
    if active.isEmpty || loop.now() >= deadline { return done() }
    endTimer = try? loop.schedule(at: loop.now() + 50_000) { [unowned self] in awaitEnd(until: deadline, done) }
  }
  private var endTimer: EventSource?

  // MARK: Starting

  /// The system goes down, or does so no longer. No run begins meanwhile, but those of hooks with `DuringShutdown=yes`: a
  /// unit that is stopped by a shutdown is nobody's trouble. The others stay pending, and after the boot are of an earlier one.
  func systemGoesDown(_ isGoingDown: Bool) {
    isShutdown = isGoingDown
    startNext()
  }

  func startNext() {
    while !isDraining, writer.isDone, let (id, lane) = queue.next(where: mayStart) {
      guard let run = waiting.removeValue(forKey: id) else {
        queue.finished(lane)
        continue
      }
      start(run, lane)
    }
  }

  private func mayStart(_ id: Int64) -> Bool {
    guard isShutdown, let run = waiting[id] else { return true }
    return hooks.hook(named: run.hook)?.definition.duringShutdown == true
  }

  private func start(_ run: Run, _ lane: RunQueue.Lane) {
    let opened: OpenedHook
    do {
      opened = try hooks.open(run)
    } catch {
      // Who saves a file may first empty or remove it: the run waits for what comes then.
      if error.kind == .temporary { return postpone(run, lane, error) }
      if error.kind != .untrusted && secondChances.insert(run.id).inserted { return delay(run, lane) }
      secondChances.remove(run.id)
      return end(run, lane, .init(state: error.isRefusal ? .refused : .failed, reason: error.description), nil)
    }
    secondChances.remove(run.id)
    let definition = opened.hook.definition
    do {
      if let unmet = try conditions.firstUnmet(of: definition, for: run.event) {
        return end(run, lane, .init(state: .skipped, reason: "\(unmet) does not hold"), definition)
      }
    } catch {
      let reason = "a condition could not be checked: \(error)"
      return end(run, lane, .init(state: .failed, reason: reason), definition)
    }
    let container: RunContainer
    do {
      guard let made = try makeContainer(for: run, definition) else {
        return delay(run, lane, for: RunExecutor.turnInterval)
      }
      container = made
    } catch {
      return postpone(run, lane, error)
    }
    do {
      let active = try ActiveRun(run, lane, opened, container, ledger: ledger, loop: loop, reporter: reporter)
      self.active[run.id] = active
      try active.spawnNext()
      watch(active)
      perform(active.machine.spawned(), for: active)
      reporter.started(run)
      isStuck = false
    } catch {
      let active = self.active.removeValue(forKey: run.id)
      active?.close()
      _ = container.remove()
      guard RunExecutor.isTemporary(error) else {
        end(run, lane, .init(state: .failed, reason: "\(error)"), definition)
        return write { [ledger] in try ledger.release(run) }
      }
      write { [ledger] in try ledger.takeBack(run) }
      postpone(run, lane, error)
    }
  }

  /// From here on there is a process: whatever fails, it is waited for.
  private func watch(_ run: ActiveRun) {
    // No sooner than others: with many short runs there is always an end, and deadlines, timers and the journal must have
    // their turn, too.
    run.exitSource = try? loop.watch(run.pidfd, for: .input) { [unowned self] _ in
      mainEnded(run)
    }
    if run.exitSource == nil { pollEmptiness(of: run, delay: 1000) }
  }

  /// The run keeps its place and is begun later: when the ledger can be written again, or there is memory, or another run
  /// has given back its descriptors.
  private func postpone(_ run: Run, _ lane: RunQueue.Lane, _ error: any Error) {
    if !isStuck {
      reporter.say("Cannot begin run \(run.id) of hook \(run.hook) now: \(error).", .trouble, priority: .error)
    }
    isStuck = true
    delay(run, lane)
  }

  /// Begins the run a moment later; its lane waits with it.
  private func delay(_ run: Run, _ lane: RunQueue.Lane, for time: UInt64 = RunExecutor.retryInterval) {
    delayed[run.id] = try? loop.schedule(at: loop.now() + time) { [unowned self] in
      delayed[run.id] = nil
      if isDraining { return }
      if isShutdown {
        // Others may pass it now.
        waiting[run.id] = run
        queue.finished(lane)
        queue.enqueue(run.id, in: lane)
        startNext()
      } else {
        start(run, lane)
      }
    }
  }

  /// Whether the system, not the hook, is at fault, so that it may go well a moment later.
  private static func isTemporary(_ error: any Error) -> Bool {
    switch error {
    case let error as SpawnError: error.isTemporary
    case let error as HookError: error.kind == .temporary
    case let error as SystemError: error.isTemporary || [ENOSPC, EDQUOT, ETXTBSY].contains(error.code)
    default: false
    }
  }

  /// Makes what holds the run's processes, and writes down that it begins; nil when another process's run has to end first.
  private func makeContainer(for run: Run, _ definition: HookDefinition) throws -> RunContainer? {
    let others = try ledger.livingOwners(besides: owner)
    let container = try containment.makeContainer(
      runID: String(run.id), attempt: run.attempt, stateDirectory: ledger.stateDirectory)
    do {
      let hasBegun = try ledger.begin(
        run, container: container.path, isParallel: definition.parallel, others: others,
        now: Clock.now().microseconds)
      if hasBegun { return container }
    } catch {
      _ = container.remove()
      throw error
    }
    _ = container.remove()
    return nil
  }

  // MARK: The machine's actions

  private func perform(_ actions: [RunMachine.Action], for run: ActiveRun) {
    for action in actions {
      switch action {
      case .spawn: spawnNext(of: run)
      case .terminate:
        run.container.terminate()
        pollEmptiness(of: run, delay: 1000)
      case .kill:
        run.container.kill()
        pollEmptiness(of: run, delay: 1000)
      case .startTimer(let delay):
        run.timer = try? loop.schedule(at: loop.now() &+ delay) { [unowned self] in
          perform(run.machine.timerElapsed(), for: run)
        }
      case .record(let outcome):
        run.output?.drain()
        end(run.run, run.lane, outcome, run.hook.definition)
      case .release: release(run)
      }
    }
  }

  private func spawnNext(of run: ActiveRun) {
    do {
      try run.spawnNext()
      watch(run)
    } catch {
      perform(run.machine.spawnFailed("\(error)", treeIsEmpty: run.isEmpty()), for: run)
    }
  }

  private func mainEnded(_ run: ActiveRun) {
    guard let exit = run.reap() else { return }
    perform(run.machine.mainEnded(exit, treeIsEmpty: run.isEmpty()), for: run)
  }

  /// Asks again and again, ever more seldom, whether anything is left: nothing tells it for all kinds of containers, and it
  /// is only asked while something is being ended.
  private func pollEmptiness(of run: ActiveRun, delay: UInt64) {
    run.emptinessTimer = try? loop.schedule(at: loop.now() + delay) { [unowned self] in
      run.emptinessTimer = nil
      reap(run)
      mainEnded(run)
      if run.isEmpty() {
        perform(run.machine.treeEmptied(), for: run)
      }
      if !run.machine.isDone { pollEmptiness(of: run, delay: min(delay * 2, 50_000)) }
    }
  }

  private func reap(_ run: ActiveRun) {
    run.container.reap(sparing: Set(active.values.compactMap(\.livingMain)))
  }

  private func release(_ run: ActiveRun) {
    run.close()
    reap(run)
    if !run.container.remove() {
      // A process that has just ended still shows for a moment.
      run.emptinessTimer = try? loop.schedule(at: loop.now() + 20_000) { [unowned self] in release(run) }
      return
    }
    active[run.run.id] = nil
    // Orphans that cannot be told to belong to a run: with none under way, they are what ended ones left behind.
    if case .processTrees = containment, active.isEmpty { ProcessTree.endStrays(sparing: []) }
    let record = run.run
    write { [ledger] in try ledger.release(record) }
    startNext()
    onProgress?()
  }

  // MARK: Outcomes

  /// An attempt has its outcome: writes it down with what follows, and lets the lane go on.
  private func end(
    _ run: Run, _ lane: RunQueue.Lane, _ outcome: RunMachine.Outcome, _ definition: HookDefinition?
  ) {
    let (outcome, consequence) = settle(run, outcome, definition)
    write { [unowned self] in
      let mend = try ledger.record(
        outcome, of: run, consequence, owner: owner, now: Clock.now().microseconds)
      if let mend { add([mend]) }
    }
    reporter.ended(run, outcome, consequence, isLeftBehind: isShutdown && definition?.previousBoots == false)
    queue.finished(lane)
    if case .retry = consequence {
      hold(run)
    } else {
      letGo(run)
      onOutcome?(run, outcome)
    }
    // In a turn of its own: a chain of runs that all fail at once must not become a chain of calls.
    startSource = try? loop.schedule { [unowned self] in
      startSource = nil
      startNext()
      onProgress?()
    }
  }

  /// Writes to the ledger; what it refuses is kept, and no run starts until it was written.
  func write(_ body: @escaping () throws -> Void) { writer.write(body) }
}
