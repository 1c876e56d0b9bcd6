package import Lifecycle

/// One hook answering one event: at most once, and what became of it.
package struct Run: Sendable, Equatable {
  /// What has become of a run. The raw values are the words that users see.
  package enum State: String, Sendable, CaseIterable {
    case pending, running, succeeded, failed
    case timedOut = "timed-out"
    case interrupted, skipped, superseded
    case rateLimited = "rate-limited"
    case stale, refused

    /// Whether the run has an outcome that stands. An interrupted run is run again, unless its hook says otherwise.
    package var isFinal: Bool {
      switch self {
      case .pending, .running, .interrupted: false
      default: true
      }
    }

    /// Whether the hook was run, or should have been, and did not do its work.
    package var isFailure: Bool { self == .failed || self == .timedOut }
  }

  /// How a run came to be.
  package enum Mode: String, Sendable {
    /// The event was seen as it happened.
    case live
    /// The event is from a time when journalhook was not running.
    case catchUp = "catch-up"
    /// Asked for by `replay`.
    case replay
  }

  /// Its number in the ledger.
  package var id: Int64
  /// The hook's name.
  package var hook: String
  package var event: LifecycleEvent
  package var mode: Mode
  /// 1 for the first try.
  package var attempt: Int
  /// How many of the attempts were made because an earlier one had failed.
  package var retries = 0
  /// For the run of an `OnHookFailure=` hook: the run that has failed.
  package var failed: FailedRun?

  /// A run that has finally failed, as the hook that answers it sees it.
  package struct FailedRun: Sendable, Equatable {
    package var id: Int64
    package var hook: String

    package init(id: Int64, hook: String) {
      self.id = id
      self.hook = hook
    }
  }

  package init(id: Int64, hook: String, event: LifecycleEvent, mode: Mode, attempt: Int) {
    self.id = id
    self.hook = hook
    self.event = event
    self.mode = mode
    self.attempt = attempt
  }
}
