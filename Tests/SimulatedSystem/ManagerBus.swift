package import Systemd

/// What the manager says on its bus (dbus-unit.c and dbus-job.c), and what it answers.
extension SimulatedManager {
  func addToBus(_ unit: SimulatedUnit) {
    guard !unit.isInBusQueue else { return }
    unit.isInBusQueue = true
    queues.units.append(unit)
  }

  func addToBus(_ job: SimulatedJob) { queues.jobs.append(job) }

  /// Tells of all that has changed: what a unit was in between is not told.
  func sendSignals() {
    let units = queues.units
    let jobs = queues.jobs
    queues.units = []
    queues.jobs = []
    for unit in units { sendChange(of: unit) }
    for job in jobs where job.unit.job === job { announce(job) }
  }

  private func sendChange(of unit: SimulatedUnit) {
    guard unit.isInBusQueue else { return }
    unit.isInBusQueue = false
    outputs.onSignal(.change(change(of: unit)))
  }

  private func announce(_ job: SimulatedJob) {
    guard !job.isAnnounced else { return }
    job.isAnnounced = true
    outputs.onSignal(.jobNew(job.id, unit: job.unit.name))
  }

  /// A job is gone. What it has done to its unit is told before.
  func sendRemoval(of job: SimulatedJob, _ result: SimulatedJob.Result) {
    sendChange(of: job.unit)
    announce(job)
    outputs.onSignal(.jobRemoved(job.id, unit: job.unit.name, result: result.rawValue))
  }

  func change(of unit: SimulatedUnit) -> UnitChange {
    var change = UnitChange(unit: unit.name, activeState: unit.active.rawValue)
    change.subState = unit.state.rawValue
    change.invocation = unit.invocation
    change.inactiveExit = unit.times.inactiveExit.monotonic
    change.activeEnter = unit.times.activeEnter.monotonic
    change.activeExit = unit.times.activeExit.monotonic
    change.inactiveEnter = unit.times.inactiveEnter.monotonic
    change.job = unit.job?.id ?? 0
    if unit.description.kind != .target { change.details.result = unit.result.rawValue }
    if unit.description.kind.isService {
      change.details.nRestarts = unit.restarts.count
      change.details.exitCode = unit.process.code
      change.details.exitStatus = unit.process.status
      change.details.mainStart = unit.process.start
    }
    return change
  }

  // MARK: Answers

  /// The names of the units that the manager has, in a fixed order.
  package var unitNames: [String] {
    units.filter { $0.invocation != nil || !$0.active.isDown || !$0.has(.isUnloaded) }.map(\.name)
  }

  /// The state of a unit; nil if there is none of that name.
  package func status(of name: String) -> UnitStatus? {
    guard let unit = unit(name) else { return nil }
    var status = UnitStatus(unit: name, activeState: unit.active.rawValue, invocation: unit.invocation)
    status.activeEnter = unit.times.activeEnter
    status.activeExit = unit.times.activeExit
    status.inactiveEnter = unit.times.inactiveEnter
    status.job = UInt64(unit.job?.id ?? 0)
    return status
  }

  /// systemd's result of a unit: `success`, `exit-code`, …; nil for units that have none.
  package func result(of name: String) -> String? {
    unit(name).flatMap { $0.description.kind == .target ? nil : $0.result.rawValue }
  }

  /// Whether a unit has a job, waiting or running.
  package func hasJob(_ name: String) -> Bool { unit(name)?.job != nil }

  /// `running`, `starting` or `stopping`; `offline` while the machine is off.
  package var systemState: String {
    if boot.isOff { return "offline" }
    if boot.isGoingDown { return "stopping" }
    return units.contains { $0.has(.isEnabled) && $0.job != nil } && clock.monotonic < 5_000_000
      ? "starting" : "running"
  }
}

extension SimulatedManager {
  /// The state of a unit, as the answer to a question about all its properties has it; nil if there is none of that name.
  package func state(of name: String) -> UnitChange? { unit(name).map(change(of:)) }
}
