package import Systemd

/// The states that the live manager reports, compared with what the journal has shown. The journal gets some time to show the
/// same first.
package struct Reconciliation: Sendable {
  /// What came of it.
  package struct Findings: Sendable {
    /// What the journal has not shown, as entries, in the order of time.
    package var entries: [ManagerEntry] = []
    /// The states of units that were not known before.
    package var adopted: [(key: LifecycleTracker.Key, state: UnitState)] = []
    /// Units that have to be asked about again.
    package var undecided: [String] = []
  }

  private struct Held {
    var status: UnitStatus
    var asked: UnitStatus.Moment
    var limit: UnitStatus.Moment
  }

  private let machine: String
  private let manager: Manager
  private let hostname: String?
  /// Oldest first.
  private var held: [Held] = []

  package init(machine: String, manager: Manager, hostname: String?) {
    self.machine = machine
    self.manager = manager
    self.hostname = hostname
  }

  /// When the first answer has waited long enough, in microseconds since boot; nil if there is none.
  package var nextDue: UInt64? { held.first.map { $0.asked.monotonic &+ BusWitness.patience } }

  /// Takes note of what the manager has answered.
  ///
  /// - Parameters:
  ///   - asked: when it was asked.
  ///   - limit: the last moment at which something can have happened unnoticed.
  package mutating func note(_ status: UnitStatus, asked: UnitStatus.Moment, limit: UnitStatus.Moment) {
    held.removeAll { $0.status.unit == status.unit }
    held.append(Held(status: status, asked: asked, limit: limit))
  }

  /// Forgets answers of a manager that is gone.
  package mutating func clear() { held = [] }

  /// Compares the answers that have waited long enough.
  ///
  /// - Parameters:
  ///   - tracker: what the journal has shown up to now.
  ///   - boot: this boot. What the tracker knows of an earlier one is nothing to go by.
  ///   - now: in microseconds since boot.
  package mutating func findings(by tracker: LifecycleTracker, boot: CurrentBoot, now: UInt64) -> Findings {
    var findings = Findings()
    while let first = held.first, first.asked.monotonic &+ BusWitness.patience <= now {
      held.removeFirst()
      let key = LifecycleTracker.Key(machine: machine, manager: manager, unit: first.status.unit)
      let state = tracker.isIn(boot, of: machine) ? tracker.units[key] : nil
      let isOld = state.map { $0.lastSeen < boot.softReboot } ?? false
      switch UnitComparison.verdict(isOld ? nil : state, first.status, asked: first.asked, limit: first.limit) {
      case .agrees: break
      case .adopt(let state): findings.adopted.append((key, state))
      case .undecided: findings.undecided.append(first.status.unit)
      case .missing(let steps, let isMoreToCome):
        findings.entries += steps.map { entry($0, first.status, boot) }
        if isMoreToCome { findings.undecided.append(first.status.unit) }
      }
    }
    // Of one unit in the order of its steps, whatever their times.
    let order = findings.entries.enumerated().sorted {
      $0.element.unit == $1.element.unit
        ? $0.offset < $1.offset : ($0.element.monotonic, $0.offset) < ($1.element.monotonic, $1.offset)
    }
    findings.entries = order.map(\.element)
    return findings
  }

  private func entry(_ step: UnitComparison.Step, _ status: UnitStatus, _ boot: CurrentBoot) -> ManagerEntry {
    let text: String
    var job: LifecycleEvent.Job?
    switch step.kind {
    case .started: text = "is up"
    case .startFailed:
      text = "could not be started"
      job = .init(type: "start", result: step.result)
    case .failureResult: text = "has failed"
    default: text = "is down"
    }
    return ManagerEntry(
      kind: step.kind, unit: status.unit, manager: manager, machine: machine, hostname: hostname, boot: boot.id,
      realtime: step.time.realtime, monotonic: step.time.monotonic, cursor: "", invocation: step.invocation, job: job,
      result: step.kind == .failureResult ? step.result : nil, exitCode: nil, exitStatus: nil, nRestarts: nil,
      message: "Found by asking the service manager: \(status.unit) \(text), which the journal does not tell.",
      source: .reconciled)
  }
}
