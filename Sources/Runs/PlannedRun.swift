package import Hooks
package import Lifecycle
internal import Systemd

/// A run that an event leads to, before it has a number.
package struct PlannedRun: Sendable, Equatable {
  package var event: LifecycleEvent
  package var hook: String
  package var mode: Run.Mode
  /// `pending`, or what became of it at once (`stale`, `skipped`, …).
  package var state: Run.State
  package var reason: String?
  /// Waits for the end of the backlog, and is superseded if the unit takes another turn until then (`CatchUp=latest`).
  package var isHeld = false
  /// Begins no earlier than this; nil: at once.
  package var due: DueTime?
  /// The number of microseconds after the event when the unit counts as settled (`SettleSec=`); the opposite turn until then supersedes
  /// the run.
  package var settle: UInt64?
  /// The event whose run waited for the hook's rate limit until now, and is given up for this one.
  package var rateLimitedInstead: String?
  /// When the interval of the hook's rate limit ends that this run waits for, in microseconds since 1970.
  package var rateLimitEnd: UInt64?
  /// The run whose effects or failure led to this one, as far as it is known.
  package var cause: Int64?
  /// Whether the hook has a lane of its own (`Parallel=yes`).
  package var isParallel = false

  package init(
    event: LifecycleEvent, hook: String, mode: Run.Mode, state: Run.State = .pending, reason: String? = nil,
    isHeld: Bool = false
  ) {
    self.event = event
    self.hook = hook
    self.mode = mode
    self.state = state
    self.reason = reason
    self.isHeld = isHeld
  }

  /// The run that an event leads to by a hook; nil when the hook is not for it.
  ///
  /// - Parameters:
  ///   - mode: `catchUp` for an event from a time when journalhook was not running.
  ///   - isOfEarlierBoot: the event's machine has booted since.
  ///   - aliases: the other names of the event's unit.
  package init?(
    _ event: LifecycleEvent, hook: Hook, mode: Run.Mode, isOfEarlierBoot: Bool, aliases: [String] = []
  ) {
    guard hook.definition.match.matches(event, aliases: aliases) else { return nil }
    self.init(event: event, hook: hook.name, mode: mode)
    isParallel = hook.definition.parallel
    if isOfEarlierBoot, !hook.definition.previousBoots {
      state = .stale
      reason = "the event is of an earlier boot, and the hook does not say PreviousBoots=yes"
    } else if mode == .catchUp {
      switch hook.definition.catchUp {
      case .all: break
      case .latest: isHeld = true
      case .none:
        state = .skipped
        reason = "the event is from while nobody followed, and the hook says CatchUp=none"
      }
    }
    if state == .pending, hook.definition.settle > .zero { settle = hook.definition.settle.microseconds }
  }
}
