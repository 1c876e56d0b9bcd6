/// What really happened to a unit, as only the one knows who has made it happen.
package struct TrueFact: Sendable {
  /// What it was.
  package enum Kind: String, Sendable {
    /// The machine has booted; of no unit.
    case booted
    /// The manager has begun to start it.
    case startBegan
    /// It is active, and was not before.
    case cameUp
    /// A oneshot has done its work, with success, and is inactive again.
    case ranToEnd
    /// A stop has begun to end it.
    case stopBegan
    /// It was active and is inactive now.
    case wentDown
    /// It has failed, having been active before or not.
    case failed
    /// The manager would not start it, as something that it needs has failed.
    case dependencyFailed
    /// The manager would not start it, as that was done too often.
    case startRefused
    /// The manager has decided to restart it by itself.
    case restartScheduled
    /// A restart job has taken it down, and will not bring it up again.
    case restartBroken
    case reloadBegan
    case reloadDone
    case reloadFailed
    /// A condition was not met, so that it was not started.
    case startSkipped
    /// The kernel has killed a process of it for want of memory.
    case outOfMemory
  }

  package var unit: String
  package var kind: Kind
  package var invocation: String?
  package var boot: String
  /// When, in microseconds since that boot.
  package var monotonic: UInt64
  /// On `wentDown` and `cameUp`: whether a restart job has done it. Nil if that is a matter of opinion: two things at once did.
  package var restartJob: Bool? = false
  /// On `cameUp`: whether its `Restart=` has done it; nil as above.
  package var autoRestart: Bool? = false
  /// On `cameUp`: whether it went down and came up by one and the same restart; nil as above.
  package var isRestarted: Bool? = false
  /// The numbers of the messages by which the manager tells it; a few of them would do. None if it does not tell it.
  package var messages: [Int] = []

  /// Whether the manager tells it at all.
  package var wasLogged: Bool { !messages.isEmpty }
}

/// An event that a reader has made of what the manager has told.
package struct SeenEvent: Sendable, Equatable {
  package var id: String
  /// `started`, `stopped`, …
  package var kind: String
  package var unit: String
  package var invocation: String?
  package var boot: String
  package var restartJob: Bool?
  package var autoRestart: Bool?
  /// `journal`, `bus`, `reconciled` or `restart-failed`.
  package var source: String

  package init(
    id: String, kind: String, unit: String, invocation: String?, boot: String, restartJob: Bool? = nil,
    autoRestart: Bool? = nil, source: String = "journal"
  ) {
    self.id = id
    self.kind = kind
    self.unit = unit
    self.invocation = invocation
    self.boot = boot
    self.restartJob = restartJob
    self.autoRestart = autoRestart
    self.source = source
  }
}
