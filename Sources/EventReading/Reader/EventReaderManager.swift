internal import Lifecycle
package import Systemd

/// What the running service manager sends, while the reader listens to it.
extension EventReader {
  /// From now on the reader uses what the manager sends on the bus.
  package func listen() {
    guard let machine = try? host.machine(), let boot = try? host.boot() else { return }
    fields = fields.union(FieldSet(["_SOURCE_REALTIME_TIMESTAMP"]))
    witness = BusWitness(machine: machine, boot: boot, hostname: host.hostname, since: clocks.monotonic)
  }

  /// Notes a change that the manager has sent: if the journal does not explain it, it leads to events of its own.
  package func note(_ change: UnitChange) {
    let units = source.selection.units
    guard units.isEmpty || units.contains(change.unit) else { return }
    witness?.note(
      change, of: source.selection.manager, now: clocks.monotonic, realtime: clocks.realtime)
  }

  /// Notes a job of the manager that was queued, or was removed with a result.
  package func note(job: UInt32, of unit: String, result: String?) {
    witness?.note(job: job, of: unit, result: result, now: clocks.monotonic, realtime: clocks.realtime)
  }

  /// Notes that the connection to the manager is back: units that were up, and that the manager no longer has, are down.
  ///
  /// - Parameter units: all units that the manager has now.
  package func managerIsBack(with units: Set<String>) {
    let manager = source.selection.manager
    let known = tracker.units.filter { $0.key.manager == manager && $0.key.machine == machine && $0.value.phase == .up }
    let up = known.map { (unit: $0.key.unit, invocation: $0.value.invocation) } + (witness?.unitsComingUp() ?? [])
    for (unit, invocation) in up where !units.contains(unit) {
      var gone = UnitChange(unit: unit, activeState: "inactive")
      gone.invocation = invocation
      gone.inactiveEnter = clocks.monotonic
      note(gone)
    }
  }

  /// The failures that waited until it was known whether they were failed starts, for which the manager has now sent that.
  func failedStarts() -> [LifecycleEvent] {
    guard tracker.isWaiting, let entries = witness?.failedStarts(in: tracker) else { return [] }
    return entries.flatMap { tracker.process($0) }
  }

  /// When to call `takeUnexplained()`, in microseconds since boot; nil if nothing waits.
  package var nextUnexplained: UInt64? { witness?.nextDue }

  /// The events of changes that the journal should have explained by now and has not. To be called at the end of the journal.
  package func takeUnexplained() -> Batch {
    var batch = Batch()
    while let missed = witness?.unexplained(by: tracker, now: clocks.monotonic), !missed.isEmpty {
      batch.events += missed.flatMap { tracker.process($0) }
    }
    batch.allChanges = tracker.takeChanges()
    return batch
  }
}
