internal import Systemd

/// What a service manager said about one unit in one journal entry, before it is known what it means.
package struct ManagerEntry: Sendable, Equatable {
  /// The kinds of messages, by MESSAGE_ID where there is one (systemd's sd-messages.h), else by text (`ManagerText`).
  package enum Kind: Sendable, Equatable {
    /// A start job has begun to work.
    case starting
    /// A start job is done. Not yet "the unit is up": it may have been skipped, or have run to completion.
    case started
    /// A start job was not done.
    case startFailed
    case stopping
    case stopped
    case reloading
    case reloaded
    case restartScheduled
    case success
    case failureResult
    /// The main process ended; `result` is what that makes of the unit, nil if it ended well.
    case mainProcessExit
    /// Something else went wrong: `result` is what it makes of the unit, should that fail.
    case failureHint
    case skipped
    case outOfMemory
    /// "Start request repeated too quickly."
    case startLimitHit
  }

  package var kind: Kind
  package var unit: String
  package var manager: Manager
  package var machine: String
  package var hostname: String?
  package var boot: String
  package var realtime: UInt64
  package var monotonic: UInt64
  package var cursor: String
  /// Nil when the field is absent or empty.
  package var invocation: String?
  package var job: LifecycleEvent.Job?
  /// UNIT_RESULT of a failure, or what the text says of it.
  package var result: String?
  package var exitCode: String?
  package var exitStatus: String?
  package var nRestarts: UInt32?
  package var message: String
  /// `bus` for what the live manager has reported and the journal has not shown.
  package var source = LifecycleEvent.Source.journal
  /// Of a service that `mayHaveFinished`: whether it stays up without a process (`RemainAfterExit=`); nil if unknown.
  package var remainsAfterExit: Bool?

  /// Whether it says that a oneshot was started, and not whether the unit is active or inactive again: since systemd 249 user managers
  /// log UNIT_SUCCESS, which would show it, at debug level only. The text is that of oneshots alone (service.c,
  /// service_finished_job(), since 247).
  package var mayHaveFinished: Bool {
    guard case .user = manager else { return false }
    return kind == .started && source == .journal && message.hasPrefix("Finished ")
  }

  /// Whether it is the end of a job in the way of systemd up to 234: without the job's type, and before the text that
  /// the unit has failed (unit.c there: unit_notify() ends the job, then says "Unit entered failed state.").
  var isOldJobEnd: Bool { job?.result != nil && job?.type == nil }

  /// Whether the manager's text says that a start was skipped because a condition was not met; nil when it says neither.
  ///
  /// From systemd 240 and in el8's 239 that logs UNIT_STARTED with JOB_RESULT=done, and only the text differs
  /// (job.c, job_emit_done_message(): "Condition check resulted in %s being skipped." in 240–249 and later for
  /// ExecCondition=, "%s was skipped because …" in 250–259, "%s skipped, …" in 260). The text of a start that was done
  /// begins with a verb (`finished_start_job` of the unit types) and ends with a full stop after the unit's description.
  var showsSkippedStart: Bool? {
    if message.hasPrefix("Condition check resulted in "), message.hasSuffix(" being skipped.") { return true }
    let doneVerbs = [
      "Started ", "Finished ", "Reached target ", "Listening on ", "Mounted ", "Activated swap ", "Created slice ",
      "Set up automount ", "Found device ",
    ]
    if doneVerbs.contains(where: message.hasPrefix) { return false }
    if message.contains(" was skipped because ") || message.contains(" skipped, ") { return true }
    return nil
  }
}
