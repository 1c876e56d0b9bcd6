import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import RunLedger
@testable import Runs

/// Runs of several owners: follow, and replays at the same time. On a real SQLite file.
@Suite struct LedgerOwnersTests {
  private let directory: TemporaryDirectory
  private let ledger: Ledger

  init() throws {
    directory = try TemporaryDirectory()
    ledger = try Ledger(stateDirectory: directory.path)
  }

  private func plan(_ ids: String, _ owner: String) throws -> Ledger.Commit {
    let events = ids.map { id in
      LifecycleEvent(
        id: String(id), kind: .started, unit: "\(id).service", realtime: 1, monotonic: 1, boot: "b", machine: "m")
    }
    let planned = events.map { PlannedRun(event: $0, hook: "h", mode: .live) }
    return try ledger.commit(Ledger.Step(planned: planned, events: events), owner: owner, now: 1)
  }

  /// `EVENT OWNER STATE` of all runs.
  private func runs() throws -> [String] {
    try ledger.database.query("SELECT event_id, owner, state FROM runs ORDER BY id").map { row in
      row.compactMap(\.text).joined(separator: " ")
    }
  }

  @Test func followGetsTheRunsThatItHasPassedOverWhenTheReplayEnds() throws {
    let replayed = try plan("abcd", "replay-1-1").runs
    #expect(replayed.count == 4)
    let outcome = RunMachine.Outcome(state: .succeeded, exit: .exited(0))
    _ = try ledger.record(outcome, of: replayed[0], owner: "replay-1-1", now: 2)
    #expect(try !ledger.hasWantedRunsOfOthers())
    let passed = try plan("abc", "follow")
    #expect(passed.runs.isEmpty)
    #expect(passed.others == [2, 3], "a finished run has no other owner")
    #expect(try ledger.hasWantedRunsOfOthers())
    // One waits for a retry: it has run once.
    var failed = RunMachine.Outcome(state: .failed, exit: .exited(1))
    failed.reason = "exit status 1"
    _ = try ledger.record(
      failed, of: replayed[1], .retry(after: 10, due: DueTime(monotonic: 100, realtime: 100)), owner: "replay-1-1",
      now: 3)
    try ledger.dropPending(owner: "replay-1-1")
    #expect(
      try runs() == ["a replay-1-1 succeeded", "b follow pending", "c follow pending"], "follow has not planned d")
    #expect(try ledger.waitingRetries(owner: "follow").map(\.id) == [2])
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 9).map(\.id) == [3])
    #expect(try !ledger.hasWantedRunsOfOthers())
  }

  @Test func alsoWhenTheReplayWasKilled() throws {
    let replayed = try plan("ab", "replay-1-1").runs
    #expect(try ledger.begin(replayed[0], container: nil, owner: "replay-1-1", now: 2) == .begun)
    #expect(try plan("ab", "follow").others == [1, 2])
    #expect(try ledger.interruptRunning(owner: "replay-1-1", now: 3).map(\.run) == [1])
    // Another replay can be the one that finds it dead.
    try ledger.changeOwner(from: "replay-1-1", to: "replay-2-2")
    #expect(try runs() == ["a follow interrupted", "b follow pending"])
  }

  @Test func aRetryOfAKilledReplayIsLeftToTheNext() throws {
    let replayed = try plan("abc", "replay-1-1").runs
    let retry = RunConsequence.retry(after: 10, due: DueTime(monotonic: 100, realtime: 100))
    for run in replayed[...1] {
      _ = try ledger.record(.init(state: .failed, exit: .exited(1)), of: run, retry, owner: "replay-1-1", now: 3)
    }
    // Follow has passed over the second one.
    _ = try plan("b", "follow")
    try ledger.changeOwner(from: "replay-1-1", to: "replay-2-2")
    #expect(try runs() == ["a replay-2-2 pending", "b follow pending"], "c was not started")
    #expect(try ledger.waitingRetries(owner: "replay-2-2").map(\.id) == [1])
    #expect(try ledger.nextDue(owner: "replay-2-2") == 100)
    #expect(try ledger.waitingRetries(owner: "follow").map(\.id) == [2])
    // One that ends by itself leaves none.
    try ledger.dropPending(owner: "replay-2-2")
    #expect(try runs() == ["a replay-2-2 failed", "b follow pending"])
  }

  @Test func aSecondReplayGetsTheRunsOfOthers() throws {
    let first = try plan("ab", "replay-1-1").runs
    let second = try plan("abc", "replay-2-2")
    #expect(second.runs.map(\.event.id) == ["c"])
    #expect(second.others == first.map(\.id))
    #expect(try ledger.openRuns(among: second.others) == ["replay-1-1": 2])
    try ledger.dropPending(owner: "replay-1-1")
    #expect(try ledger.openRuns(among: second.others).isEmpty)
    #expect(try ledger.states(of: second.others) == [nil, nil], "the ledger no longer has them")
    #expect(try runs() == ["c replay-2-2 pending"])
  }
}
