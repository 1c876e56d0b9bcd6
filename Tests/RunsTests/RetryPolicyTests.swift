import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import Runs

/// What follows the outcome of an attempt.
@Suite struct RetryPolicyTests {
  private static let longest: UInt64 = 300_000_000

  private func decide(
    _ outcome: Run.State, retries: Int = 0, _ definition: HookDefinition?, hasTurnedBack: Bool = false
  ) -> RetryPolicy.Decision {
    var run = Run(id: 1, hook: "h", event: event(.stopped), mode: .live, attempt: retries + 1)
    run.retries = retries
    return RetryPolicy.decide(.init(state: outcome), of: run, definition, hasTurnedBack: { hasTurnedBack })
  }

  private func definition(_ change: (inout HookDefinition) -> Void) -> HookDefinition {
    var definition = HookDefinition()
    change(&definition)
    return definition
  }

  // MARK: RetryCount=

  @Test(
    arguments: [
      // Without RetryCount= a failure stands.
      (.failed, 0, 0, .failure), (.timedOut, 0, 0, .failure),
      (.failed, 3, 0, .retry(after: 1_000_000)), (.timedOut, 3, 0, .retry(after: 1_000_000)),
      (.failed, 3, 2, .retry(after: 4_000_000)), (.failed, 3, 3, .failure), (.failed, 3, 4, .failure),
      (.failed, 1, 0, .retry(after: 1_000_000)), (.failed, 1, 1, .failure),
      // What is no failure is not tried again.
      (.succeeded, 3, 0, .final), (.skipped, 3, 0, .final), (.refused, 3, 0, .final), (.stale, 3, 0, .final),
      (.superseded, 3, 0, .final), (.rateLimited, 3, 0, .final),
    ] as [(Run.State, UInt32, Int, RetryPolicy.Decision)])
  func failuresAreTriedAgainAsOftenAsTheHookSays(
    outcome: Run.State, count: UInt32, retries: Int, decision: RetryPolicy.Decision
  ) {
    #expect(decide(outcome, retries: retries, definition { $0.retryCount = count }) == decision)
  }

  @Test(arguments: Run.State.allCases) func nothingFollowsWhereTheHookIsNotKnown(_ outcome: Run.State) {
    #expect(decide(outcome, nil) == .final)
    #expect(decide(outcome, nil, hasTurnedBack: true) == .final)
  }

  // MARK: RetryDelaySec=

  @Test(
    arguments: [
      (1_000_000, 0, 1_000_000), (1_000_000, 1, 2_000_000), (1_000_000, 2, 4_000_000), (1_000_000, 8, 256_000_000),
      // It doubles up to five minutes.
      (1_000_000, 9, longest), (1_000_000, 1000, longest), (200_000_000, 1, longest), (longest, 0, longest),
      (longest, 5, longest),
      // A first delay that is longer stays as it is.
      (600_000_000, 0, 600_000_000), (600_000_000, 1, 600_000_000), (600_000_000, 50, 600_000_000),
      // No delay stays none.
      (0, 0, 0), (0, 60, 0),
      (1, 3, 8), (1, 40, longest), (1, 1_000_000, longest),
      // Even a delay that cannot be doubled.
      (.max - 1, 0, .max - 1), (.max - 1, 1, .max - 1), (.max / 2 + 1, 1, .max / 2 + 1),
    ] as [(UInt64, Int, UInt64)])
  func theDelayDoublesUpToFiveMinutes(first: UInt64, retries: Int, delay: UInt64) {
    let definition = definition {
      $0.retryCount = .max
      $0.retryDelay = TimeSpan(microseconds: first)
    }
    #expect(decide(.failed, retries: retries, definition) == .retry(after: delay))
  }

  // MARK: A unit that has turned back

  @Test(
    arguments: [
      (.failed, 1, 0, .superseded), (.timedOut, 1, 0, .superseded),
      // Where there is no retry, the failure stands.
      (.failed, 0, 0, .failure), (.failed, 1, 1, .failure), (.succeeded, 1, 0, .final),
      // To be run again after an interruption does not depend on it.
      (.interrupted, 1, 0, .rerun),
    ] as [(Run.State, UInt32, Int, RetryPolicy.Decision)])
  func aRetryComesTooLateWhenTheUnitHasTurnedBack(
    outcome: Run.State, count: UInt32, retries: Int, decision: RetryPolicy.Decision
  ) {
    let definition = definition { $0.retryCount = count }
    #expect(decide(outcome, retries: retries, definition, hasTurnedBack: true) == decision)
  }

  @Test(arguments: [(.succeeded, 1), (.failed, 0), (.interrupted, 1)] as [(Run.State, UInt32)])
  func whetherTheUnitHasTurnedBackIsAskedOnlyWhereItCounts(outcome: Run.State, count: UInt32) {
    let run = Run(id: 1, hook: "h", event: event(.stopped), mode: .live, attempt: 1)
    var isAsked = false
    _ = RetryPolicy.decide(.init(state: outcome), of: run, definition { $0.retryCount = count }) {
      isAsked = true
      return true
    }
    #expect(!isAsked)
  }

  // MARK: RerunInterrupted=

  @Test(arguments: [(true, .rerun), (false, .final)] as [(Bool, RetryPolicy.Decision)])
  func anInterruptedRunIsRunAgainIfTheHookSaysSo(rerun: Bool, decision: RetryPolicy.Decision) {
    for count: UInt32 in [0, 3] {
      let definition = definition {
        $0.rerunInterrupted = rerun
        $0.retryCount = count
      }
      #expect(decide(.interrupted, definition) == decision)
    }
  }
}
