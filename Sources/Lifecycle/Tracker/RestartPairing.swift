/// Which stop and which start of a unit belong together as one restart.
///
/// A restart job stops the unit and starts it again; systemd logs it as a UNIT_STOPPED of JOB_TYPE=restart and a start by the same
/// job. An automatic restart (`Restart=`) is announced by UNIT_RESTART_SCHEDULED instead.
package struct RestartPairing: Sendable, Equatable {
  /// The restart job that has taken the unit down, where the manager says its number (systemd 240 and later).
  package var job: UInt32?
  /// A restart job has taken the unit down, and may bring it up again.
  package var isOpen = false
  /// The last `stopped`, if it was emitted as part of a restart and no `started` has answered it yet.
  @Aside package var unanswered: LifecycleEvent?
  /// A `stopped` was emitted since the last `started`.
  package var hasGoneDown = false
  /// systemd has scheduled an automatic restart.
  package var isAutomatic = false
  /// How many automatic restarts there were.
  package var count: UInt32?

  package init() {}

  /// What a start is to the restart before it.
  struct Answer: Equatable {
    /// The unit went down and came up by one restart: `restarted` follows.
    var isRestarted: Bool
    /// The last `stopped` was part of the same restart job.
    var isByJob: Bool
    /// The unit's own `Restart=` has brought it up.
    var isAutomatic: Bool
  }

  /// Whether a UNIT_STOPPED is that of a restart job, which brings the unit up again: systemd names the job's type (240 and later).
  static func isStopOfRestart(_ stopped: ManagerEntry) -> Bool { stopped.job?.type == "restart" }

  /// Whether a start shows that a stop whose UNIT_STOPPED was lost was part of a restart: both are by the same job.
  static func isRestart(_ start: ManagerEntry, of stop: UnitState.StopJob?) -> Bool {
    guard start.kind == .starting || start.kind == .started, let job = start.job?.id else { return false }
    return job == stop?.id
  }

  /// Whether a start by a job, or by none that is known, is the second half of the restart.
  func isContinued(by job: UInt32?) -> Bool {
    if let job, let own = self.job { return job == own }
    return isOpen && job == nil
  }

  /// A restart job has taken the unit down.
  mutating func begin(by job: UInt32?) {
    self.job = job
    isOpen = true
  }

  /// A `stopped` was emitted.
  mutating func note(_ stopped: LifecycleEvent) {
    hasGoneDown = true
    unanswered = stopped.restartJob == true ? stopped : nil
  }

  /// The unit is up: what was open is answered.
  ///
  /// - Parameter isContinued: whether the start is the restart job's.
  mutating func comeUp(isContinued: Bool) -> Answer {
    let answer = Answer(
      isRestarted: hasGoneDown && (isAutomatic || isContinued), isByJob: !_unanswered.isEmpty, isAutomatic: isAutomatic)
    job = nil
    isOpen = false
    unanswered = nil
    isAutomatic = false
    hasGoneDown = false
    return answer
  }

  /// The restart job will not bring the unit up again.
  ///
  /// - Parameter entry: what has shown it; without one the event has the time of the stop.
  /// - Returns: a `stopped` without `restart_job`, if one with it was emitted; nil when none is owed.
  mutating func fail(by entry: ManagerEntry? = nil) -> LifecycleEvent? {
    job = nil
    isOpen = false
    guard var stopped = _unanswered.take() else { return nil }
    stopped.restartJob = false
    stopped.source = .restartFailed
    let identity = EventIdentity(machine: stopped.machine, boot: stopped.boot, manager: stopped.manager)
    stopped.id = identity.id(
      unit: stopped.unit, kind: .stopped, source: .restartFailed, invocation: stopped.invocation,
      monotonic: stopped.monotonic)
    if let entry { stopped.take(from: entry) }
    return stopped
  }
}
