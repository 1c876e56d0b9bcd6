internal import Glibc
internal import JournalHookCore
internal import Systemd

/// Does runs: takes them from the queue when their turn comes, creates their processes, and writes down what became of them.
package final class RunExecutor {
  /// Whose runs these are in the ledger: `follow`, or one `replay`.
  let owner: String
  private let loop: EventLoop
  private let ledger: Ledger
  private let hooks: HookStore
  private let reporter: Reporter
  private let containment: Containment
  private var queue: RunQueue
  private var waiting: [Int64: Run] = [:]
  private var active: [Int64: ActiveRun] = [:]
  /// Writes that the ledger has refused (a full disk, say), to be tried again in their order.
  private var unwritten: [() throws -> Void] = []
  private var retryTimer: EventSource?
  private var isDraining = false
  /// Runs whose beginning is put off for a moment; their lanes wait with them.
  private var delayed: [Int64: EventSource] = [:]
  /// Runs whose hook was not there when their turn came, once.
  private var secondChances: Set<Int64> = []
  /// This boot, where events of earlier boots are to be told from those of this one.
  private let boot: CurrentBoot?

  /// Called when a run has its outcome.
  var onOutcome: ((Run, RunMachine.Outcome) -> Void)?
  /// Called when there is room for more runs, or nothing is left to do.
  var onProgress: (() -> Void)?

  private static let retryInterval: UInt64 = 1_000_000

  init(
    owner: String, loop: EventLoop, ledger: Ledger, hooks: HookStore, reporter: Reporter, containment: Containment,
    jobs: Int, boot: CurrentBoot?
  ) {
    self.boot = boot
    self.owner = owner
    self.loop = loop
    self.ledger = ledger
    self.hooks = hooks
    self.reporter = reporter
    self.containment = containment
    queue = RunQueue(limit: jobs)
  }

  /// The number of runs that wait for their turn.
  var waitingCount: Int { queue.waiting }

  /// Whether nothing waits, runs or is left of what ran.
  var isIdle: Bool { queue.waiting == 0 && delayed.isEmpty && isQuiet }

  /// Whether nothing runs and nothing is left of what ran.
  var isQuiet: Bool { active.isEmpty && unwritten.isEmpty }

  /// Takes runs that are in the ledger.
  func add(_ runs: [Run]) {
    for run in runs where waiting[run.id] == nil && active[run.id] == nil && delayed[run.id] == nil {
      if isOfEarlierBoot(run) {
        let outcome = RunMachine.Outcome(
          state: .stale, reason: "the system has booted since, and the hook does not say PreviousBoots=yes")
        write { [ledger] in try ledger.record(outcome, of: run, now: Clock.now().microseconds) }
        reporter.ended(run, outcome)
        continue
      }
      waiting[run.id] = run
      queue.enqueue(run.id, in: lane(of: run))
    }
    startNext()
  }

  /// Whether a boot lies between the event and now, so that what the hook would do is about a system that is gone.
  private func isOfEarlierBoot(_ run: Run) -> Bool {
    guard let boot, boot.isLater(than: run.event) else { return false }
    return hooks.hook(named: run.hook)?.definition.previousBoots != true
  }

  private func lane(of run: Run) -> RunQueue.Lane {
    let isParallel = hooks.hook(named: run.hook)?.definition.parallel ?? false
    return RunQueue.Lane(machine: run.event.machine, unit: run.event.unit, hook: isParallel ? run.hook : nil)
  }

  // MARK: Ends

  /// Starts no more runs; those under way go on.
  func drain() { isDraining = true }

  /// Ends the runs under way; they will be run again.
  func interruptAll() {
    for run in active.values { perform(run.machine.interrupt(), for: run) }
  }

  // MARK: Starting

  /// The system goes down, or does so no longer. No run begins meanwhile, but those of hooks with `DuringShutdown=yes`: a
  /// unit that is stopped by a shutdown is nobody's trouble. The others stay pending, and after the boot are of an earlier one.
  func systemGoesDown(_ isGoingDown: Bool) {
    isShutdown = isGoingDown
    if !isGoingDown { startNext() }
  }
  private var isShutdown = false

  private func startNext() {
    while !isDraining, unwritten.isEmpty, let (id, lane) = queue.next() {
      guard let run = waiting.removeValue(forKey: id) else {
        queue.finished(lane)
        continue
      }
      start(run, lane)
    }
  }

  private func start(_ run: Run, _ lane: RunQueue.Lane) {
    if isShutdown, hooks.hook(named: run.hook)?.definition.duringShutdown != true { return delay(run, lane) }
    let opened: OpenedHook
    do {
      opened = try hooks.open(run.hook, for: run.event)
    } catch {
      // Who saves a file may first empty or remove it: the run waits for what comes then.
      if error.isTemporary || (!error.isTrustRefusal && secondChances.insert(run.id).inserted) {
        return delay(run, lane)
      }
      secondChances.remove(run.id)
      let outcome = RunMachine.Outcome(state: error.isRefusal ? .refused : .failed, reason: error.description)
      write { [ledger] in try ledger.record(outcome, of: run, now: Clock.now().microseconds) }
      return finish(run, lane, outcome)
    }
    secondChances.remove(run.id)
    let container: RunContainer
    do {
      container = try makeContainer(for: run)
    } catch {
      return postpone(run, lane, error)
    }
    let active = ActiveRun(run: run, lane: lane, definition: opened.hook.definition, container: container)
    self.active[run.id] = active
    do {
      try active.spawn(opened, ledger: ledger, loop: loop, reporter: reporter)
    } catch {
      guard RunExecutor.isTemporary(error) else {
        return perform(active.machine.spawnFailed("\(error)"), for: active)
      }
      self.active[run.id] = nil
      active.close()
      _ = container.remove()
      write { [ledger] in try ledger.takeBack(run) }
      return postpone(run, lane, error)
    }
    // From here on there is a process: whatever fails, it is waited for.
    active.exitSource = try? loop.watch(active.pidfd, for: .input, priority: .important) { [unowned self] _ in
      mainEnded(active)
    }
    if active.exitSource == nil { pollEmptiness(of: active, delay: 1000) }
    perform(active.machine.spawned(), for: active)
    reporter.started(run)
    isStuck = false
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
  private func delay(_ run: Run, _ lane: RunQueue.Lane) {
    delayed[run.id] = try? loop.schedule(at: loop.now() + RunExecutor.retryInterval) { [unowned self] in
      delayed[run.id] = nil
      if !isDraining { start(run, lane) }
    }
  }

  /// Whether the system, not the hook, is at fault, so that it may go well a moment later.
  private static func isTemporary(_ error: any Error) -> Bool {
    switch error {
    case let error as SpawnError: error.isTemporary
    case let error as SystemError: [EMFILE, ENFILE, ENOMEM, EAGAIN, ENOSPC, EDQUOT, ETXTBSY].contains(error.code)
    default: false
    }
  }

  /// Makes what holds the run's processes, and writes down that it begins.
  private func makeContainer(for run: Run) throws -> RunContainer {
    let container = try containment.makeContainer(runID: String(run.id), attempt: run.attempt)
    do {
      try ledger.begin(run, container: container.path, now: Clock.now().microseconds)
    } catch {
      _ = container.remove()
      throw error
    }
    return container
  }

  // MARK: The machine's actions

  private func perform(_ actions: [RunMachine.Action], for run: ActiveRun) {
    for action in actions {
      switch action {
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
        let record = run.run
        write { [ledger] in try ledger.record(outcome, of: record, now: Clock.now().microseconds) }
        finish(run.run, run.lane, outcome)
      case .release: release(run)
      }
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

  private func finish(_ run: Run, _ lane: RunQueue.Lane, _ outcome: RunMachine.Outcome) {
    reporter.ended(run, outcome)
    queue.finished(lane)
    onOutcome?(run, outcome)
    // In a turn of its own: a chain of runs that all fail at once must not become a chain of calls.
    startSource = try? loop.schedule { [unowned self] in
      startSource = nil
      startNext()
      onProgress?()
    }
  }
  private var startSource: EventSource?

  // MARK: Writing

  /// Writes to the ledger; what it refuses is kept, and no run starts until it was written.
  private func write(_ body: @escaping () throws -> Void) {
    unwritten.append(body)
    if unwritten.count == 1 { writeAll() }
  }

  private func writeAll() {
    while let body = unwritten.first {
      do {
        try body()
        unwritten.removeFirst()
      } catch {
        if !isStuck { reporter.say("\(error). Runs wait until it can be written.", .trouble, priority: .error) }
        isStuck = true
        retryLater()
        return
      }
    }
  }

  /// No run starts until the timer has elapsed and what was refused is written.
  private func retryLater() {
    retryTimer = try? loop.schedule(at: loop.now() + RunExecutor.retryInterval) { [unowned self] in
      retryTimer = nil
      writeAll()
      if unwritten.isEmpty {
        startNext()
        onProgress?()
      }
    }
  }
  /// Whether it was said already that runs cannot begin or be written down.
  private var isStuck = false
}
