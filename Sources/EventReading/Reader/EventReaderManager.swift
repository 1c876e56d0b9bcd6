internal import Lifecycle
package import Systemd

/// What the live service manager says, while it is listened to.
extension EventReader {
  /// Takes note of what the manager says on the bus from now on.
  package func listen() {
    guard let machine = try? Id128.machine(), let boot = try? Id128.boot() else { return }
    fields = fields.union(FieldSet(["_SOURCE_REALTIME_TIMESTAMP"]))
    witness = BusWitness(machine: machine, boot: boot, hostname: hostName(), since: clocks.monotonic)
  }

  /// Takes note of what the manager said: the journal has to explain it, or it becomes events of its own.
  package func note(_ change: UnitChange) {
    let units = source.selection.units
    guard units.isEmpty || units.contains(change.unit) else { return }
    witness?.note(
      change, of: source.selection.manager, now: clocks.monotonic, realtime: clocks.realtime)
  }

  /// Takes note of a job that was queued or is gone.
  package func note(job: UInt32, of unit: String, result: String?) {
    witness?.note(job: job, of: unit, result: result, now: clocks.monotonic, realtime: clocks.realtime)
  }

  /// Takes note of a manager's return: units that were up, and which it no longer has, are down.
  package func managerHasReturned(with units: Set<String>) {
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

  /// The failures that waited for whether they were failed starts, as the manager has told it.
  func failedStarts() -> [LifecycleEvent] {
    guard tracker.isWaiting, let entries = witness?.failedStarts(in: tracker) else { return [] }
    return entries.flatMap { tracker.process($0) }
  }

  /// When to ask for what the journal has not explained, in microseconds since boot; nil if nothing waits.
  package var nextUnexplained: UInt64? { witness?.nextDue }

  /// The events that the journal should have told by now and has not; to be asked for when it was read to its end.
  package func takeUnexplained() -> Batch {
    var batch = Batch()
    while let missed = witness?.unexplained(by: tracker, now: clocks.monotonic), !missed.isEmpty {
      batch.events += missed.flatMap { tracker.process($0) }
    }
    batch.allChanges = tracker.takeChanges()
    return batch
  }
}
