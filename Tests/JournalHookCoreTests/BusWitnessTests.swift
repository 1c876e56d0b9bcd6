import Systemd
import Testing

@testable import JournalHookCore

/// Changes seen on the bus against what the journal has told of them.
@Suite struct BusWitnessTests {
  private func said(
    _ kind: ManagerEntry.Kind, _ invocation: String?, at time: UInt64, source: LifecycleEvent.Source = .journal
  ) -> ManagerEntry {
    ManagerEntry(
      kind: kind, unit: "a.service", manager: .system, machine: "m", boot: "b", realtime: 0, monotonic: time,
      cursor: "c",
      invocation: invocation, job: nil, result: kind == .failureResult ? "signal" : nil, message: "", source: source)
  }

  private func change(
    _ state: String, _ invocation: String?, enter: UInt64 = 0, exit: UInt64 = 0, inactive: UInt64 = 0
  ) -> UnitChange {
    var change = UnitChange(unit: "a.service", activeState: state)
    change.invocation = invocation
    change.activeEnter = enter
    change.activeExit = exit
    change.inactiveEnter = inactive
    return change
  }

  /// The events that come of entries in the journal and changes on the bus, both in this order, a second later.
  private func events(_ entries: [ManagerEntry], _ changes: [UnitChange]) -> [String] {
    var tracker = LifecycleTracker()
    var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
    for entry in entries { _ = tracker.process(entry) }
    for change in changes { witness.note(change, of: .system, now: 5000, realtime: 7) }
    #expect(witness.unexplained(by: tracker, now: 5000 + BusWitness.patience - 1).isEmpty)
    return witness.unexplained(by: tracker, now: 5000 + BusWitness.patience).flatMap { entry in
      tracker.process(entry).map { "\($0.kind.rawValue) \($0.result ?? "") \($0.source.rawValue)" }
    }
  }

  @Test func aCleanExitThatWasNotLogged() {
    let down = change("inactive", "i", enter: 500, exit: 2000, inactive: 2100)
    #expect(events([said(.started, "i", at: 500)], [down]) == ["stopped success bus"])
    #expect(events([], [down]) == ["stopped success bus"], "first seen")
    #expect(events([said(.started, "i", at: 500), said(.success, "i", at: 2100)], [down]).isEmpty, "explained")
    #expect(events([said(.started, "j", at: 3000)], [down]).isEmpty, "the journal has gone on")
    let between = change("inactive", "j", enter: 500, exit: 2000, inactive: 2100)
    let restart = [said(.started, "i", at: 500), said(.failureResult, "i", at: 2000), said(.started, "j", at: 2200)]
    #expect(events(restart, [between]).isEmpty, "told late, of a restart in between")
  }

  @Test func aFailureThatWasNotLogged() {
    let failed = change("failed", "i", enter: 500, exit: 2000, inactive: 2100)
    #expect(events([said(.started, "i", at: 500)], [failed]) == ["stopped failed bus", "failed failed bus"])
    #expect(events([said(.started, "i", at: 500), said(.failureResult, "i", at: 2100)], [failed]).isEmpty)
  }

  @Test func aStartThatWasNotLogged() {
    let up = change("active", "i", enter: 2000)
    #expect(events([], [up]) == ["started  bus"])
    #expect(events([said(.started, "i", at: 2000)], [up]).isEmpty)
    #expect(events([said(.started, "i", at: 2000), said(.success, "i", at: 2500)], [up]).isEmpty, "up and down again")
    let down = change("inactive", "i", enter: 2000, exit: 3000, inactive: 3100)
    #expect(events([], [up, down]) == ["started  bus", "stopped success bus"])
  }

  @Test func whatIsNoChangeIsNoNews() {
    #expect(events([], [change("active", "i", enter: 900)]).isEmpty, "active since before")
    #expect(events([], [change("inactive", nil)]).isEmpty, "was loaded, never ran")
    #expect(events([], [change("inactive", "i", enter: 10, exit: 20, inactive: 2000)]).isEmpty, "a skipped start")
    #expect(events([], [change("failed", "i", inactive: 2000)]).isEmpty, "a failed start logs that itself")
    #expect(events([], [change("deactivating", "i", enter: 500, exit: 2000)]).isEmpty)
    let up = change("active", "i", enter: 2000)
    #expect(events([], [up, up, up]).count == 1)
  }

  @Test func theEntryThatComesAfterAllAddsNothing() {
    var tracker = LifecycleTracker()
    _ = tracker.process(said(.started, "i", at: 500))
    let seen = tracker.process(said(.success, "i", at: 2100, source: .bus))
    #expect(seen.map(\.source) == [.bus])
    #expect(tracker.process(said(.success, "i", at: 2100)).isEmpty)
    var other = LifecycleTracker()
    _ = other.process(said(.started, "i", at: 500))
    #expect(other.process(said(.success, "i", at: 2100)).map(\.id) == seen.map(\.id), "the same fact, the same id")
  }
}
