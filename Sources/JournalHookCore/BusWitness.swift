package import Systemd

/// What the live manager has told on the bus, until the journal has told it, too.
///
/// The journal is the truth; but clean exits were not logged before systemd 240, are not by user managers since 249, and
/// `LogLevelMax=` hides them. A change that the journal has not explained within a second becomes an entry of its own.
package struct BusWitness: Sendable {
  /// How long the journal has to explain a change, in microseconds.
  package static let patience: UInt64 = 1_000_000

  private struct Change {
    var change: UnitChange
    var manager: Manager
    var realtime: UInt64
    var due: UInt64
  }

  private let machine: String
  private let boot: String
  private let hostname: String?
  /// Changes from before are no news: the manager repeats where a unit is for many reasons.
  private let since: UInt64
  /// The last word about each unit that the journal has yet to explain, oldest first.
  private var changes: [Change] = []

  /// - Parameter since: when following began, in microseconds since boot.
  package init(machine: String, boot: String, hostname: String?, since: UInt64) {
    self.machine = machine
    self.boot = boot
    self.hostname = hostname
    self.since = since
  }

  /// Whether something waits for its explanation.
  package var isWaiting: Bool { !changes.isEmpty }

  /// Takes note of what the manager said.
  ///
  /// - Parameters:
  ///   - now: in microseconds since boot.
  ///   - realtime: the wall-clock time in microseconds since 1970.
  package mutating func note(_ change: UnitChange, of manager: Manager, now: UInt64, realtime: UInt64) {
    let time = BusWitness.time(of: change)
    guard let time, time > since else { return }
    // The same state again, for some other property's sake.
    if changes.contains(where: { $0.change == change && $0.manager == manager }) { return }
    changes.append(Change(change: change, manager: manager, realtime: realtime, due: now &+ BusWitness.patience))
  }

  /// When the unit came to where it is; nil for states on the way to another.
  private static func time(of change: UnitChange) -> UInt64? {
    switch change.activeState {
    case "active": change.activeEnter
    case "inactive", "failed": change.inactiveEnter
    default: nil
    }
  }

  /// What the journal has not explained in time, as if it had been logged.
  package mutating func unexplained(by tracker: LifecycleTracker, now: UInt64) -> [ManagerEntry] {
    var entries: [ManagerEntry] = []
    while let first = changes.first, first.due <= now {
      changes.removeFirst()
      let state = tracker.units[.init(machine: machine, manager: first.manager, unit: first.change.unit)]
      for (kind, time) in missing(first.change, state) { entries.append(entry(kind, first, at: time)) }
    }
    return entries
  }

  /// The steps between what the tracker knows of a unit and what the manager says of it.
  private func missing(_ change: UnitChange, _ state: UnitState?) -> [(ManagerEntry.Kind, UInt64)] {
    let isKnown = state?.invocation == change.invocation
    let wasTold = isKnown && state?.phase == .down
    switch change.activeState {
    case "active":
      // Told as up; or as up and down again since.
      if isKnown, state?.phase == .up || state?.phase == .down { return [] }
      if let state, state.lastSeen > change.activeEnter { return [] }
      return [(.started, change.activeEnter)]
    case "inactive", "failed":
      // Never up in this time: a start that failed logs that, and what was skipped is no news.
      guard change.activeExit > since, change.activeExit >= change.activeEnter, !wasTold else { return [] }
      // The journal has gone on: it has told what led there, or the unit is up again. The manager may even have named the
      // invocation that was about to begin, as it tells where a unit is only after a while.
      if let state, state.lastSeen > change.inactiveEnter { return [] }
      return [(change.activeState == "failed" ? .failureResult : .success, change.inactiveEnter)]
    default: return []
    }
  }

  private func entry(_ kind: ManagerEntry.Kind, _ change: Change, at time: UInt64) -> ManagerEntry {
    ManagerEntry(
      kind: kind, unit: change.change.unit, manager: change.manager, machine: machine, hostname: hostname, boot: boot,
      realtime: change.realtime, monotonic: time, cursor: "", invocation: change.change.invocation, job: nil,
      result: kind == .failureResult ? "failed" : nil, exitCode: nil, exitStatus: nil, nRestarts: nil,
      message: "Seen on the bus: \(change.change.unit) is \(change.change.activeState).", source: .bus)
  }
}
