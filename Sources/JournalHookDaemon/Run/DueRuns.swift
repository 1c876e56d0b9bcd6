internal import Lifecycle
internal import RunLedger
internal import Runs
internal import Systemd

/// Runs that wait in the ledger for a time: settling ones, retries, and those of a rate limit.
final class DueRuns {
  private let owner: String
  private let timers: any Timers
  private let ledger: Ledger
  private let host: any RunHost
  private let boot: CurrentBoot?
  /// Whether runs may wait for a time.
  private(set) var isWaiting = false
  private var timer: Timer?
  private var turn: Timer?
  /// Takes the runs; set once, by the executor itself.
  weak var executor: RunExecutor?

  init(owner: String, timers: any Timers, ledger: Ledger, host: any RunHost, boot: CurrentBoot?) {
    self.owner = owner
    self.timers = timers
    self.ledger = ledger
    self.host = host
    self.boot = boot
  }

  /// Takes up what waits in the ledger from before. To be called once, before runs are added.
  func restore(boot: String) throws {
    try ledger.startClock(boot: boot, now: timers.now)
    try takeUp()
  }

  /// Takes up what waits in the ledger and became this owner's.
  func takeUp() throws {
    for run in try ledger.waitingRetries(owner: owner) { executor?.hold(run) }
    schedule()
  }

  /// There may be runs that wait: has them begin when they are due.
  func schedule() {
    isWaiting = true
    scheduleNext()
  }

  /// Has runs begin when they are due. Until all that has happened was read it is not known whether they are superseded; so
  /// this is to be called then, too.
  func scheduleNext() {
    guard isWaiting, let executor, executor.mayBegin, executor.callbacks.isUpToDate() else { return }
    do {
      guard let due = try ledger.nextDue(owner: owner) else {
        isWaiting = false
        // Whoever waits for these runs may not be in the calls that lead here.
        turn = timers.callSoon { [weak executor] in executor?.callbacks.onProgress?() }
        return
      }
      timer = timers.call(at: due, accuracy: 1000) { [unowned self] in
        timer = nil
        self.executor?.callbacks.onDue?()
        release()
      }
    } catch {
      timer = timers.call(in: RunExecutor.retryInterval) { [unowned self] in scheduleNext() }
    }
  }

  /// No more runs begin.
  func stop() { timer = nil }

  /// Lets those runs go whose time has come.
  private func release() {
    guard let executor else { return }
    // Kept by the executor's own writer until the ledger takes it.
    executor.write { [unowned self, unowned executor] in
      var isMore = executor.callbacks.isUpToDate()
      while isMore {
        let runs = try ledger.takeDue(owner: owner, now: timers.monotonic, limit: RunExecutor.portion)
        executor.add(runs.filter { !putOffForStart($0) })
        isMore = runs.count == RunExecutor.portion
      }
    }
    executor.startNext()
    scheduleNext()
  }

  /// Has a retry wait on whose unit went down in an earlier boot and is about to be started in this one.
  private func putOffForStart(_ run: Run) -> Bool {
    guard run.retries > 0, run.event.kind.direction == .down, let boot, boot.isLater(than: run.event),
      host.hasStartJob(run.event.unit)
    else { return false }
    return (try? ledger.putOff(run, until: timers.now.adding(RunExecutor.retryInterval))) != nil
  }
}
