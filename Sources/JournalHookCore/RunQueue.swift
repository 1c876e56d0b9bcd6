/// Which run is next.
///
/// The runs of one unit go one at a time in the order in which they came; those of different units side by side, up to a
/// limit. A hook with `Parallel=yes` has a lane of its own for each unit.
package struct RunQueue: Sendable {
  /// Runs of one lane never overlap.
  package struct Lane: Hashable, Sendable {
    package var machine: String
    package var unit: String
    /// Only for hooks with `Parallel=yes`.
    package var hook: String?

    package init(machine: String, unit: String, hook: String? = nil) {
      self.machine = machine
      self.unit = unit
      self.hook = hook
    }
  }

  /// The number of runs that may be under way at once.
  package var limit: Int
  private var lanes: [Lane: ArraySlice<Int64>] = [:]
  /// Lanes with something to do and nothing under way, in the order in which they became so.
  private var ready: ArraySlice<Lane> = []
  private var busy: Set<Lane> = []

  package init(limit: Int) { self.limit = max(1, limit) }

  /// The number of runs that wait.
  package private(set) var waiting = 0

  /// The number of runs under way.
  package var underWay: Int { busy.count }

  /// Adds a run behind the others of its lane.
  package mutating func enqueue(_ run: Int64, in lane: Lane) {
    lanes[lane, default: []].append(run)
    waiting += 1
    if lanes[lane]?.count == 1, !busy.contains(lane) { ready.append(lane) }
  }

  /// Takes the next run that may start, if there is one.
  package mutating func next() -> (run: Int64, lane: Lane)? {
    guard busy.count < limit, let lane = ready.popFirst(), let run = lanes[lane]?.popFirst() else { return nil }
    if lanes[lane]?.isEmpty == true { lanes[lane] = nil }
    waiting -= 1
    busy.insert(lane)
    return (run, lane)
  }

  /// The run under way in the lane has its outcome.
  package mutating func finished(_ lane: Lane) {
    guard busy.remove(lane) != nil else { return }
    if lanes[lane] != nil { ready.append(lane) }
  }

  /// Takes a run out that waits.
  package mutating func remove(_ run: Int64, from lane: Lane) {
    guard let index = lanes[lane]?.firstIndex(of: run) else { return }
    lanes[lane]?.remove(at: index)
    waiting -= 1
    if lanes[lane]?.isEmpty == true {
      lanes[lane] = nil
      ready.removeAll { $0 == lane }
    }
  }
}
