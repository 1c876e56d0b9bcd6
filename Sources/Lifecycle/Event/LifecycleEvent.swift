/// Something that happened to a unit: a lifecycle event, as journalhook-events(7) describes it.
package struct LifecycleEvent: Sendable, Equatable {
  /// What happened.
  package enum Kind: String, Sendable, CaseIterable {
    case starting, started, finished, stopping, stopped, failed
    case gaveUp = "gave-up"
    case restarting, restarted, reloading, reloaded
    case reloadFailed = "reload-failed"
    case skipped, oom
  }

  /// How journalhook came to know it.
  package enum Source: String, Sendable {
    /// An entry of the service manager in the journal.
    case journal
    /// Seen on the manager's bus, never logged.
    case bus
    /// Found by comparing what is known with the manager's live state.
    case reconciled
    /// The end of a restart that took a unit down and did not bring it up again.
    case restartFailed = "restart-failed"
  }

  /// The manager's job that the event belongs to.
  package struct Job: Sendable, Equatable {
    /// The manager's number of the job; starts at 1 at each boot (systemd 240 and later).
    package var id: UInt32?
    /// `start`, `stop`, `restart`, `reload`, …
    package var type: String?
    /// `done`, `failed`, `timeout`, `dependency`, …; absent while the job runs.
    package var result: String?

    package init(id: UInt32? = nil, type: String? = nil, result: String? = nil) {
      self.id = id
      self.type = type
      self.result = result
    }
  }

  /// The same for the same fact, however it became known: 32 hexadecimal digits.
  package var id: String
  /// The unit's primary name, with its suffix.
  package var unit: String
  package var kind: Kind
  /// `success`, or systemd's result (`exit-code`, `signal`, `timeout`, …), on events that have one.
  package var result: String?
  /// On `stopped` and `started`: whether the two belong to one restart job; on `restarted` as on its `started`. Absent on
  /// other events.
  package var restartJob: Bool?
  /// On `started` and `restarted`: whether systemd's `Restart=` brought the unit back. Absent on other events.
  package var autoRestart: Bool?
  /// The invocation that the event is about: 32 hexadecimal digits.
  package var invocation: String?
  package var job: Job?
  /// `exited`, `killed` or `dumped`: how the main process of the invocation ended.
  package var exitCode: String?
  /// Its exit status or the number of its signal.
  package var exitStatus: String?
  /// How often `Restart=` has restarted the unit.
  package var nRestarts: UInt32?
  /// The manager's own text.
  package var message: String?
  /// Wall-clock time of the entry in microseconds since 1970.
  package var realtime: UInt64
  /// Time of the entry in microseconds since its boot.
  package var monotonic: UInt64
  /// The boot id: 32 hexadecimal digits.
  package var boot: String
  /// The machine id: 32 hexadecimal digits.
  package var machine: String
  package var hostname: String?
  package var manager: Manager
  package var source: Source
  /// The journal's cursor of the entry that it comes from.
  package var cursor: String?
}

extension LifecycleEvent {
  /// An event of these facts.
  ///
  /// It leaves the work to the memberwise initializer, which puts an event together where it shall be. One that sets the
  /// properties one after the other is copied there when it is done (Swift 6.3), with all its texts.
  package init(
    id: String, kind: Kind, unit: String, result: String? = nil, restartJob: Bool? = nil, autoRestart: Bool? = nil,
    invocation: String? = nil, job: Job? = nil, exitCode: String? = nil, exitStatus: String? = nil,
    nRestarts: UInt32? = nil, message: String? = nil, realtime: UInt64, monotonic: UInt64, boot: String,
    machine: String, hostname: String? = nil, manager: Manager = .system, source: Source = .journal,
    cursor: String? = nil
  ) {
    self.init(
      id: id, unit: unit, kind: kind, result: result, restartJob: restartJob, autoRestart: autoRestart,
      invocation: invocation, job: job,
      exitCode: exitCode, exitStatus: exitStatus, nRestarts: nRestarts, message: message, realtime: realtime,
      monotonic: monotonic, boot: boot, machine: machine, hostname: hostname, manager: manager, source: source,
      cursor: cursor)
  }
}

/// Which service manager an event comes from.
package enum Manager: Sendable, Hashable {
  /// PID 1.
  case system
  /// The manager of one user.
  case user(UInt32)

  /// `system` or `user`, as in JSON.
  package var name: String {
    switch self {
    case .system: "system"
    case .user: "user"
    }
  }
}
