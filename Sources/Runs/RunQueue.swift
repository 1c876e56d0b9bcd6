internal import Lifecycle

/// Which run is next.
///
/// The runs of one unit go one at a time, in the order of their numbers, which is that of their events; those of different
/// units side by side, up to a limit. A hook with `Parallel=yes` has a lane of its own for each unit.
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
  /// What waits, by lane, in order.
  private var lanes: [Lane: [Int64]] = [:]
  /// Lanes with something to do and nothing under way, in the order in which they became so.
  private var ready: ArraySlice<Lane> = []
  private var busy: Set<Lane> = []

  package init(limit: Int) { self.limit = max(1, limit) }

  /// The number of runs that wait.
  package private(set) var waiting = 0

  /// The number of runs under way.
  package var underWay: Int { busy.count }

  /// Adds a run to its lane: after the runs with lower numbers and before those with higher ones, as a run that is tried again.
  package mutating func enqueue(_ run: Int64, in lane: Lane) {
    var runs = lanes[lane] ?? []
    lanes[lane] = nil  // so that the array is not copied
    runs.insert(run, at: runs.lastIndex { $0 < run }.map { $0 + 1 } ?? 0)
    if runs.count == 1, !busy.contains(lane) { ready.append(lane) }
    lanes[lane] = runs
    waiting += 1
  }

  /// Takes the next run that may start, if there is one.
  ///
  /// - Parameter mayStart: runs that it refuses stay where they are, and let others of their lane pass.
  package mutating func next(where mayStart: (Int64) -> Bool = { _ in true }) -> (run: Int64, lane: Lane)? {
    guard busy.count < limit else { return nil }
    for index in ready.indices {
      let lane = ready[index]
      guard let place = lanes[lane]?.firstIndex(where: mayStart), let run = lanes[lane]?.remove(at: place) else {
        continue
      }
      ready.remove(at: index)
      if lanes[lane]?.isEmpty == true { lanes[lane] = nil }
      waiting -= 1
      busy.insert(lane)
      return (run, lane)
    }
    return nil
  }

  /// The run under way in the lane has its outcome.
  package mutating func finished(_ lane: Lane) {
    guard busy.remove(lane) != nil else { return }
    if lanes[lane] != nil { ready.append(lane) }
  }

  /// Takes out runs that wait.
  package mutating func remove(from lane: Lane, where isUnwanted: (Int64) -> Bool) {
    guard let runs = lanes[lane] else { return }
    let left = runs.filter { !isUnwanted($0) }
    waiting -= runs.count - left.count
    lanes[lane] = left.isEmpty ? nil : left
    if left.isEmpty { ready.removeAll { $0 == lane } }
  }
}
