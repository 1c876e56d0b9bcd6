import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// What lies between what the tracker knows and where the manager has a unit.
@Suite struct UnitComparisonTests {
  /// A case: what the journal told (`KIND INVOCATION TIME`), where the manager has the unit, and what is told then.
  struct Case: CustomTestStringConvertible {
    var name: String
    var said: [String]
    var live: UnitStatus
    var events: [String]
    var testDescription: String { name }

    init(_ name: String, _ said: [String], _ live: UnitStatus, _ events: [String]) {
      self.name = name
      self.said = said
      self.live = live
      self.events = events
    }
  }

  private static func unit(
    _ state: String, _ invocation: String?, enter: UInt64 = 0, exit: UInt64 = 0, inactive: UInt64 = 0,
    result: String? = nil
  ) -> UnitStatus {
    var status = UnitStatus(unit: "a.service", activeState: state, invocation: invocation)
    status.activeEnter = .init(monotonic: enter, realtime: enter + 1_000_000)
    status.activeExit = .init(monotonic: exit, realtime: exit + 1_000_000)
    status.inactiveEnter = .init(monotonic: inactive, realtime: inactive + 1_000_000)
    status.result = result
    return status
  }

  static let cases = [
    Case("up and up", ["started i 500"], unit("active", "i", enter: 490), []),
    Case("up and reloading", ["started i 500"], unit("reloading", "i", enter: 490), []),
    Case(
      "went down", ["started i 500"], unit("inactive", "i", enter: 490, exit: 2000, inactive: 2100),
      ["stopped success i 2100"]),
    Case("went down and was unloaded", ["started i 500"], unit("inactive", nil), ["stopped success i 4000"]),
    Case(
      "failed", ["started i 500"],
      unit("failed", "i", enter: 490, exit: 2000, inactive: 2100, result: "signal"),
      ["stopped signal i 2100", "failed signal i 2100"]),
    Case(
      "was restarted", ["started i 500"], unit("active", "j", enter: 3000, exit: 2000, inactive: 2100),
      ["stopped success i 3000", "started  j 3000"]),
    Case(
      "was restarted and went down", ["started i 500"],
      unit("failed", "j", enter: 3000, exit: 3500, inactive: 3600, result: "exit-code"),
      ["stopped success i 3000", "started  j 3000", "stopped exit-code j 3600", "failed exit-code j 3600"]),
    Case(
      "went down, and its next start failed", ["started i 500"],
      unit("failed", "j", enter: 490, exit: 600, inactive: 3600, result: "timeout"),
      ["stopped success i 3600", "failed timeout j 3600"]),
    Case("came up", ["started i 500", "success i 900"], unit("active", "j", enter: 3000), ["started  j 3000"]),
    Case("down and down", ["started i 500", "success i 900"], unit("inactive", "i", enter: 490, inactive: 890), []),
    Case("down and unloaded", ["started i 500", "success i 900"], unit("inactive", nil), []),
    Case(
      "came up and went down", ["started i 500", "success i 900"],
      unit("inactive", "j", enter: 3000, exit: 3100, inactive: 3200), ["started  j 3000", "stopped success j 3200"]),
    Case("has come up", ["starting i 500"], unit("active", "i", enter: 3000), ["started  i 3000"]),
    Case(
      "its start failed", ["starting i 500"], unit("failed", "i", inactive: 3000, result: "timeout"),
      ["failed timeout i 3000"]),
    Case("a oneshot has run", ["starting i 500"], unit("inactive", "i", inactive: 3000), []),
    Case("never seen, up", [], unit("active", "i", enter: 400), []),
    Case("never seen, down", [], unit("inactive", nil), []),
    Case("on its way up again", ["started i 500"], unit("activating", "j", exit: 2000), ["stopped success i 2000"]),
    Case(
      "waits for its automatic restart", ["started i 500"], unit("activating", "i", enter: 490, exit: 2000),
      ["stopped success i 2000"]),
    Case(
      "waits for its automatic restart after a failure", ["started i 500"],
      unit("activating", "i", enter: 490, exit: 2000, result: "signal"),
      ["stopped signal i 2000", "failed signal i 2000"]),
    Case(
      "on its way up again, whatever its result", ["started i 500"],
      unit("activating", "j", exit: 2000, result: "signal"), ["stopped success i 2000"]),
    Case("on its way down", ["started i 500"], unit("deactivating", "i", enter: 490, exit: 2000), []),
    Case("told since it was asked", ["started i 500", "reloading i 5001"], unit("inactive", "i", inactive: 2100), []),
    Case("the journal tells it late", ["started i 500", "success i 5200"], unit("inactive", "i", inactive: 2100), []),
  ]

  private static let kinds: [String: ManagerEntry.Kind] = [
    "starting": .starting, "started": .started, "success": .success, "reloading": .reloading,
  ]

  private func entry(_ line: String, boot: String = "b") -> ManagerEntry {
    let words = line.split(separator: " ").map(String.init)
    return ManagerEntry(
      kind: UnitComparisonTests.kinds[words[0]] ?? .failureHint, unit: "a.service", manager: .system, machine: "m",
      boot: boot, realtime: 0, monotonic: UInt64(words[2]) ?? 0, cursor: "c", invocation: words[1], job: nil,
      message: "")
  }

  private func findings(
    _ tracker: LifecycleTracker, _ live: UnitStatus, boot: CurrentBoot = CurrentBoot(id: "b")
  ) -> Reconciliation.Findings {
    var reconciliation = Reconciliation(machine: "m", manager: .system, hostname: "h")
    reconciliation.note(
      live, asked: .init(monotonic: 5000, realtime: 9), limit: .init(monotonic: 4000, realtime: 8))
    let due = 5000 + BusWitness.patience
    #expect(reconciliation.nextDue == due)
    #expect(reconciliation.findings(by: tracker, boot: boot, now: due - 1).entries.isEmpty, "not before its time")
    return reconciliation.findings(by: tracker, boot: boot, now: due)
  }

  private func told(_ events: [LifecycleEvent]) -> [String] {
    events.map { "\($0.kind.rawValue) \($0.result ?? "") \($0.invocation ?? "") \($0.monotonic)" }
  }

  @Test(arguments: cases) func tellsWhatIsMissing(_ story: Case) {
    var tracker = LifecycleTracker()
    for line in story.said { _ = tracker.process(entry(line)) }
    _ = tracker.flushAll()
    let events = findings(tracker, story.live).entries.flatMap { tracker.process($0) }
    #expect(told(events) == story.events)
    #expect(events.allSatisfy { $0.source == .reconciled })
    // Asked once more, there is nothing left; and the entry that comes after all adds nothing.
    #expect(findings(tracker, story.live).entries.isEmpty || !findings(tracker, story.live).undecided.isEmpty)
    for event in events where event.kind == .stopped {
      #expect((tracker.process(entry("success \(event.invocation ?? "") 6000")) + tracker.flushAll()).isEmpty)
    }
  }

  @Test func theFactHasTheIdThatTheJournalWouldHaveGivenIt() {
    var one = LifecycleTracker()
    var other = LifecycleTracker()
    for line in ["started i 500"] { _ = (one.process(entry(line)), other.process(entry(line))) }
    let live = UnitComparisonTests.unit("active", "j", enter: 3000)
    let found = findings(one, live).entries.flatMap { one.process($0) }
    let logged = ["success i 2100", "started j 3001"].flatMap { other.process(entry($0)) }
    #expect(found.map(\.id) == logged.map(\.id))
  }

  @Test func whatWasAdoptedIsKnownLater() {
    var tracker = LifecycleTracker()
    for (state, later, expected) in [
      (UnitComparisonTests.unit("active", "i", enter: 400), UnitComparisonTests.unit("inactive", nil), "stopped"),
      (UnitComparisonTests.unit("inactive", nil), UnitComparisonTests.unit("active", "j", enter: 700), "started"),
    ] {
      tracker = LifecycleTracker()
      _ = tracker.enter("b", of: "m", at: 1)
      let adopted = findings(tracker, state).adopted
      #expect(adopted.count == 1)
      for (key, state) in adopted { tracker.adopt(state, for: key) }
      let events = findings(tracker, later).entries.flatMap { tracker.process($0) }
      #expect(events.map(\.kind.rawValue) == [expected])
    }
    // A unit that was down when it was first seen, and is then started, is not taken for a oneshot.
    #expect((tracker.process(entry("success j 800")) + tracker.flushAll()).map(\.kind) == [.stopped])
  }

  @Test func nothingIsReconciledFromAnEarlierBoot() {
    let live = UnitComparisonTests.unit("inactive", nil)
    var tracker = LifecycleTracker()
    _ = tracker.process(entry("started i 500", boot: "old"))
    #expect(findings(tracker, live).entries.isEmpty)
    // Nor from before a soft reboot.
    tracker = LifecycleTracker()
    _ = tracker.process(entry("started i 500"))
    #expect(findings(tracker, live, boot: CurrentBoot(id: "b", softReboot: 600)).entries.isEmpty)
    #expect(findings(tracker, live, boot: CurrentBoot(id: "b", softReboot: 400)).entries.count == 1)
  }

  @Test func aSoftRebootEndsWhatWas() {
    var tracker = LifecycleTracker()
    tracker.currentBoot = CurrentBoot(id: "b", softReboot: 1000)
    let key = LifecycleTracker.Key(machine: "m", manager: .system, unit: "a.service")
    _ = tracker.process(entry("started i 500"))
    #expect(tracker.units[key]?.phase == .up)
    #expect(tracker.enter("b", of: "m", at: 1001).isEmpty)
    #expect(tracker.units[key] == nil)
    _ = tracker.process(entry("started j 1100"))
    _ = tracker.enter("b", of: "m", at: 1200)
    #expect(tracker.units[key]?.phase == .up)
    let boot = CurrentBoot(id: "b", softReboot: 1000)
    #expect(boot.isLater(than: "b", 999) && boot.isLater(than: "a", 2000) && !boot.isLater(than: "b", 1000))
  }
}
