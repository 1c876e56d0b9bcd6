package import Hooks
internal import Systemd

/// What follows the outcome of an attempt.
package enum RunConsequence: Sendable, Equatable {
  /// The outcome stands.
  case final
  /// It stands, and a hook answers it (`OnHookFailure=`).
  case mended(by: PlannedRun)
  /// It stands, and for this reason no hook answers it although `OnHookFailure=` names one.
  case unanswered(String)
  /// The run is tried again in some microseconds, at this time.
  case retry(after: UInt64, due: DueTime)
  /// It is to be run again at the next start.
  case rerun
}

/// Whether an attempt is followed by another one (`RetryCount=`, `RetryDelaySec=`, `RerunInterrupted=`).
package enum RetryPolicy {
  package enum Decision: Sendable, Equatable {
    /// The outcome stands.
    case final
    /// The outcome stands, and is a failure that another hook may answer.
    case failure
    /// The run has failed, and a later attempt would come too late: the unit has taken the opposite turn.
    case superseded
    /// The run is tried again after this number of microseconds.
    case retry(after: UInt64)
    /// The run is run again at the next start.
    case rerun
  }

  /// The longest delay before a retry, in microseconds, unless the hook's first one is longer.
  static let longestDelay: UInt64 = 300_000_000

  /// - Parameters:
  ///   - definition: the hook's; nil if it is not known any more, so that nothing follows.
  ///   - hasTurnedBack: whether the event's unit has taken the opposite turn since the event; asked only where it matters.
  package static func decide(
    _ outcome: RunMachine.Outcome, of run: Run, _ definition: HookDefinition?, hasTurnedBack: () -> Bool
  ) -> Decision {
    guard let definition else { return .final }
    if outcome.state == .interrupted { return definition.rerunInterrupted ? .rerun : .final }
    guard outcome.state.isFailure else { return .final }
    guard run.retries < definition.retryCount else { return .failure }
    return hasTurnedBack() ? .superseded : .retry(after: delay(of: definition, retries: run.retries))
  }

  /// The delay doubles with each retry.
  private static func delay(of definition: HookDefinition, retries: Int) -> UInt64 {
    let first = definition.retryDelay.microseconds
    let (doubled, isOver) = first.multipliedReportingOverflow(by: 1 << min(UInt64(retries), 40))
    return min(isOver ? .max : doubled, max(longestDelay, first))
  }
}
