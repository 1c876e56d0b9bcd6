import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import Runs

@Suite struct FollowStatusTests {
  private static func status(_ change: (inout FollowStatus) -> Void) -> FollowStatus {
    var status = FollowStatus()
    change(&status)
    return status
  }

  private static let error = "/x: Too many open files"

  @Test(arguments: [
    (FollowStatusTests.status { _ in }, "Following the journal, 0 hooks."),
    (FollowStatusTests.status { $0.hooks = 1 }, "Following the journal, 1 hook."),
    (
      FollowStatusTests.status { ($0.hooks, $0.unusable, $0.suspended) = (2, 1, 2) },
      "Following the journal, 2 hooks; 1 hook cannot be used; 2 hooks suspended."
    ),
    (
      FollowStatusTests.status { ($0.hooks, $0.isLedgerRefusing) = (1, true) },
      "Following the journal, 1 hook; the ledger cannot be written, and nothing more is read until it can."
    ),
    (
      FollowStatusTests.status { ($0.hooks, $0.isGapOpen) = (1, true) },
      "Following the journal, 1 hook; the journal is not complete now."
    ),
    (
      FollowStatusTests.status { ($0.hooks, $0.unreadable) = (3, FollowStatusTests.error) },
      "Following the journal, 3 hooks; what has changed cannot be read now: /x: Too many open files."
    ),
    (
      FollowStatusTests.status { ($0.isWaiting, $0.unreadable) = (true, FollowStatusTests.error) },
      "Waiting: the hooks cannot be read now: /x: Too many open files."
    ),
  ])
  func theStateIsTold(status: FollowStatus, text: String) { #expect(status.text == text) }
}
