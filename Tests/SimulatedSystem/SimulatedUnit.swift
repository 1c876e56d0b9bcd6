internal import Systemd

/// A unit as its manager has it.
final class SimulatedUnit {
  /// What it does, in the words of `systemctl show -p SubState`.
  enum State: String {
    case dead, failed
    case startPre = "start-pre"
    case start, mounting, running, exited, active, reload, stop, unmounting
    case stopSigterm = "stop-sigterm"
    case stopSigkill = "stop-sigkill"
    case stopPost = "stop-post"
    case autoRestart = "auto-restart"
    case autoRestartQueued = "auto-restart-queued"

    /// `ActiveState`.
    var active: Active {
      switch self {
      case .dead: .inactive
      case .failed: .failed
      case .startPre, .start, .mounting, .autoRestart, .autoRestartQueued: .activating
      case .running, .exited, .active: .active
      case .reload: .reloading
      case .stop, .unmounting, .stopSigterm, .stopSigkill, .stopPost: .deactivating
      }
    }
  }

  /// `ActiveState`.
  enum Active: String {
    case inactive, failed, activating, active, reloading, deactivating

    var isDown: Bool { self == .inactive || self == .failed }
    var isUp: Bool { self == .active || self == .reloading }
  }

  /// How it ended.
  enum Result: String {
    case success, protocolError = "protocol", timeout
    case exitCode = "exit-code"
    case signal
    case oomKill = "oom-kill"
    case startLimitHit = "start-limit-hit"
    case skipped = "exec-condition"
  }

  /// When it changed, in both clocks; 0 if never in this boot.
  struct Times {
    var inactiveExit = UnitStatus.Moment()
    var activeEnter = UnitStatus.Moment()
    var activeExit = UnitStatus.Moment()
    var inactiveEnter = UnitStatus.Moment()
  }

  /// The main process.
  struct Process {
    var isAlive = false
    var start: UInt64 = 0
    /// As waitid(2) has it: 1 exited, 2 killed.
    var code: Int32 = 0
    var status: Int32 = 0
  }

  /// How its automatic restarts go.
  struct Restarts {
    var count: UInt32 = 0
    /// The next start by a job sets the counter back.
    var isCountOver = false
    /// A stop by a job is not followed by an automatic restart.
    var areForbidden = false
    /// How many starts there were since then, for the start limit.
    var starts: (count: Int, since: UInt64) = (0, 0)
    /// A service's: whether its last reload went well.
    var isReloadGood = true
  }

  let description: UnitDescription
  /// Those that are stopped and restarted with it.
  var parts: [SimulatedUnit] = []
  /// Those that it is started after, and not without.
  var needs: [SimulatedUnit] = []
  var state = State.dead
  var invocation: String?
  var job: SimulatedJob?
  var times = Times()
  var result = Result.success
  var process = Process()
  var restarts = Restarts()
  /// Counts its changes, so that what was to end a phase that is over does nothing.
  var phase = 0
  var isInBusQueue = false
  var truth = UnitTruth()
  var words = MessageFields()

  init(_ description: UnitDescription) { self.description = description }

  var name: String { description.name }
  var active: Active { state.active }
  func has(_ trait: UnitDescription.Traits) -> Bool { description.traits.contains(trait) }

  /// What a manager that has just booted knows of it.
  func forget() {
    (state, invocation, job) = (.dead, nil, nil)
    times = Times()
    result = .success
    process = Process()
    restarts = Restarts()
    phase += 1
    isInBusQueue = false
    words.invocation = []
  }
}

/// A job of the manager.
final class SimulatedJob {
  enum Kind: String {
    case start, stop, restart, reload

    /// Whether only one of the two can be.
    func conflicts(with other: Kind) -> Bool { (self == .stop) != (other == .stop) }

    /// What becomes of two that do not conflict.
    func merged(with other: Kind) -> Kind {
      if self == .restart || other == .restart { return .restart }
      // A reload that a start comes to: the unit is active, and there is nothing to start.
      return self == .reload || other == .reload ? .reload : self
    }
  }

  enum Result: String {
    case done, canceled, failed, dependency
  }

  let id: UInt32
  let unit: SimulatedUnit
  var kind: Kind
  var isRunning = false
  /// JobNew was sent.
  var isAnnounced = false
  /// `Restart=` has queued it.
  var isAutomatic = false
  /// The first half of a restart is done, and was not done before.
  var hasStopped = false

  init(id: UInt32, unit: SimulatedUnit, kind: Kind) {
    self.id = id
    self.unit = unit
    self.kind = kind
  }
}

/// What the model remembers of a unit for the sake of the truth alone.
struct UnitTruth {
  /// Was active in this invocation.
  var isUp = false
  /// It was not by itself that it began to end.
  var isEndedByJob = false
  /// The journal says by what it is ended.
  var isStopLogged = false
  /// The restart job that has taken it down, until it is up again or will not be.
  var restartJob: SimulatedJob?
  /// Whether that was the job's doing; nil: not its alone.
  var restartFlag: Bool? = false
  /// Its start job was canceled while it was starting.
  var isAdrift = false
  /// Its `Restart=` is bringing it back.
  var isAutoPending = false
  /// Somebody else wants to bring it back as well.
  var isAutoShared = false
  /// It went down since it was last up.
  var hasGoneDown = false
  /// What else was tried since it went down.
  var wasStartedByHand = false
  var wasRestartedByHand = false
  /// The facts that messages yet to come will tell as well.
  var openStart: Int?
  var openStop: Int?
  var openEnd: [Int] = []
}
