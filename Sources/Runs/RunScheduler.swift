internal import Lifecycle

/// Which run begins next: what waits, what is put off, what is under way, and what has to wait for a retry.
///
/// It is a value without a clock, a process or a ledger. A run is added when it is in the ledger, then taken by `next`, put off any
/// number of times, ended when it has its outcome, and released when nothing is left of it.
package struct RunScheduler: Sendable {
  /// A run with the lane in which it is done.
  package struct Start: Sendable {
    package var run: Run
    package var lane: RunQueue.Lane
  }

  private struct UnderWay: Sendable {
    var start: Start
    /// It has its outcome.
    var hasEnded = false
    /// It is to be done again, when nothing is left of it.
    var isAddedAgain = false
  }

  private var queue: RunQueue
  private var waiting: [Int64: Start] = [:]
  /// Runs whose beginning is put off for a moment; their lanes wait with them.
  private var delayed: [Int64: Start] = [:]
  /// Runs that were taken and are not released.
  private var underWay: [Int64: UnderWay] = [:]
  private var holds = RetryHolds()
  /// Whether no more runs begin.
  package private(set) var isDraining = false
  /// Whether the system goes down: only runs begin whose hooks say `DuringShutdown=yes`.
  package var isShutdown = false

  /// - Parameter limit: how many runs may be under way at once.
  package init(limit: Int) { queue = RunQueue(limit: limit) }

  /// How many runs may be under way at once.
  package var limit: Int {
    get { queue.limit }
    set { queue.limit = max(1, newValue) }
  }

  /// The number of runs that wait for their turn.
  package var waitingCount: Int { queue.waiting }

  /// Whether nothing waits for its turn, is put off, or is under way.
  package var isIdle: Bool { queue.waiting == 0 && delayed.isEmpty && underWay.isEmpty }

  /// Whether the run is here already, and is not to be added again.
  package func knows(_ id: Int64) -> Bool {
    if let underWay = underWay[id] { return !underWay.hasEnded || underWay.isAddedAgain }
    return waiting[id] != nil || delayed[id] != nil
  }

  /// Adds a run, unless it is here already, or is left in the ledger as long as an earlier one of its series is to be tried again.
  ///
  /// - Parameter isParallel: whether its hook has a lane of its own (`Parallel=yes`).
  package mutating func add(_ run: Run, isParallel: Bool) {
    if knows(run.id) || holds.keepBack(run) { return }
    let lane = RunQueue.Lane(
      machine: run.event.machine, unit: run.event.unit, hook: isParallel ? run.hook : nil)
    let start = Start(run: run, lane: lane)
    if underWay[run.id] == nil {
      wait(start)
    } else {
      // A retry whose time has come before the last process of the attempt is gone.
      underWay[run.id] = UnderWay(start: start, hasEnded: true, isAddedAgain: true)
    }
  }

  private mutating func wait(_ start: Start) {
    waiting[start.run.id] = start
    queue.enqueue(start.run.id, in: start.lane)
  }

  /// Takes the run that begins next, if there is one.
  ///
  /// - Parameter runsDuringShutdown: whether a run's hook says `DuringShutdown=yes`; asked only while the system goes down.
  package mutating func next(runsDuringShutdown: (Run) -> Bool) -> Run? {
    if isDraining { return nil }
    while let (id, lane) = queue.next(where: { [waiting, isShutdown] id in
      guard isShutdown, let start = waiting[id] else { return true }
      return runsDuringShutdown(start.run)
    }) {
      guard let start = waiting.removeValue(forKey: id) else {
        queue.finished(lane)
        continue
      }
      underWay[id] = UnderWay(start: start)
      return start.run
    }
    return nil
  }

  /// A run that was taken cannot begin now. It keeps its lane, and is asked for again by `resume`.
  package mutating func putOff(_ run: Run) { delayed[run.id] = underWay.removeValue(forKey: run.id)?.start }

  /// The moment is over for which a run was put off.
  ///
  /// - Returns: whether it begins now. While the system goes down others may pass it, and it waits for its turn again.
  package mutating func resume(_ run: Run) -> Bool {
    guard let start = delayed.removeValue(forKey: run.id), !isDraining else { return false }
    if isShutdown {
      queue.finished(start.lane)
      wait(start)
      return false
    }
    underWay[run.id] = UnderWay(start: start)
    return true
  }

  /// A run that was taken has its outcome: its lane goes on, and so does its series unless the run is tried again.
  ///
  /// - Returns: a series of which runs were left in the ledger, to be read now.
  package mutating func ended(_ run: Run, isRetried: Bool) -> RunSeries? {
    if let lane = underWay[run.id]?.start.lane { queue.finished(lane) }
    underWay[run.id]?.hasEnded = true
    guard isRetried else { return letGo(run) }
    hold(run)
    return nil
  }

  /// Nothing is left of the run.
  package mutating func released(_ run: Run) {
    if let over = underWay.removeValue(forKey: run.id), over.isAddedAgain { wait(over.start) }
  }

  /// A run that waited was superseded.
  ///
  /// - Returns: a series of which runs were left in the ledger, to be read now.
  package mutating func superseded(_ run: Run) -> RunSeries? {
    if let start = waiting.removeValue(forKey: run.id) { queue.remove(from: start.lane) { $0 == run.id } }
    if let start = delayed.removeValue(forKey: run.id) { queue.finished(start.lane) }
    underWay[run.id]?.isAddedAgain = false
    return letGo(run)
  }

  /// Starts no more runs; those under way go on.
  package mutating func drain() { isDraining = true }

  // MARK: Retries

  /// The run is to be tried again: its series waits for it.
  package mutating func hold(_ run: Run) {
    holds.block(run)
    let series = RunSeries(run)
    let later = waiting.values.filter { RunSeries($0.run) == series }
    for start in later {
      queue.remove(from: start.lane) { $0 == start.run.id }
      waiting[start.run.id] = nil
    }
    if !later.isEmpty { holds.leave(series) }
  }

  private mutating func letGo(_ run: Run) -> RunSeries? {
    let series = RunSeries(run)
    guard holds.unblock(run) else { return nil }
    let busy = underWay.values.filter { !$0.hasEnded || $0.isAddedAgain }
    let others = waiting.values.map(\.run) + busy.map(\.start.run)
    return others.contains { $0.id != run.id && RunSeries($0) == series } ? nil : series
  }

  /// Runs of a series were read from the ledger, and are added next.
  package mutating func takeUp(_ series: RunSeries) { holds.takeUp(series) }

  /// More runs of a series were left in the ledger.
  package mutating func leave(_ series: RunSeries) { holds.leave(series) }
}
