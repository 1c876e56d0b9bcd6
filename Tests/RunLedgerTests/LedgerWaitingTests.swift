import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import RunLedger
@testable import Runs

/// Runs that wait, on a real SQLite file.
@Suite struct LedgerWaitingTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func event(
    _ id: String, _ kind: LifecycleEvent.Kind, at time: UInt64, unit: String = "a.service"
  ) -> LifecycleEvent {
    LifecycleEvent(id: id, kind: kind, unit: unit, realtime: time, monotonic: time, boot: "b", machine: "m")
  }

  private func settling(_ event: LifecycleEvent, _ hook: String = "h", for time: UInt64 = 20) -> PlannedRun {
    var run = PlannedRun(event: event, hook: hook, mode: .live)
    run.settle = time
    run.due = DueTime(time, after: event, boot: "b", now: DueTime(monotonic: 0, realtime: 0))
    return run
  }

  private func commit(
    _ ledger: Ledger, _ events: [LifecycleEvent], _ planned: [PlannedRun] = []
  ) throws -> Ledger.Commit {
    try ledger.commit(Ledger.Step(planned: planned, events: events), owner: "follow", now: 1)
  }

  private func states(_ ledger: Ledger) throws -> [String] {
    try ledger.database.query("SELECT state FROM runs ORDER BY id").compactMap { $0[0].text }
  }

  @Test func aSettlingRunIsSupersededByTheOppositeDirectionInItsTime() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    let cases: [(kind: LifecycleEvent.Kind, time: UInt64, unit: String, isSuperseded: Bool)] = [
      (.started, 110, "a.service", true), (.started, 120, "a.service", true), (.started, 121, "a.service", false),
      (.started, 110, "b.service", false), (.failed, 110, "a.service", false), (.reloaded, 110, "a.service", false),
    ]
    for (index, test) in cases.enumerated() {
      let down = event("down-\(index)", .stopped, at: 100)
      #expect(try commit(ledger, [down], [settling(down)]).runs.isEmpty)
      let answer = try commit(ledger, [event("next-\(index)", test.kind, at: test.time, unit: test.unit)])
      #expect(answer.superseded.map(\.event.id) == (test.isSuperseded ? ["down-\(index)"] : []), "\(test)")
      if !test.isSuperseded {
        #expect(try ledger.takeDue(owner: "follow", now: 120, limit: 9).count == 1)
        // It is due, and waits only for other runs: nothing supersedes it any more.
        #expect(try commit(ledger, [event("late-\(index)", .started, at: 115)]).superseded.isEmpty)
      }
    }
  }

  @Test func withinOneStepOnlyTheLastEventIsLeft() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    let events = [
      event("1", .stopped, at: 100), event("2", .started, at: 105), event("3", .stopped, at: 110),
      event("4", .started, at: 115),
    ]
    #expect(try commit(ledger, events, events.map { settling($0) }).superseded.count == 3)
    #expect(try states(ledger) == ["superseded", "superseded", "superseded", "pending"])
    #expect(try ledger.nextDue(owner: "follow") == 135)
    #expect(try ledger.takeDue(owner: "follow", now: 134, limit: 9).isEmpty)
    #expect(try ledger.takeDue(owner: "follow", now: 135, limit: 9).map(\.event.id) == ["4"])
    #expect(try ledger.takeDue(owner: "follow", now: 135, limit: 9).isEmpty)
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 9).map(\.event.id) == ["4"])
  }

  @Test func whatIsReadAgainSupersedesNothingThatCameLater() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    let (up, down) = (event("1", .started, at: 100), event("2", .stopped, at: 105))
    #expect(try commit(ledger, [up, down], [settling(up), settling(down)]).superseded.map(\.event.id) == ["1"])
    // As with `follow --since`, or a replay beside follow.
    #expect(try commit(ledger, [up], [settling(up)]).superseded.isEmpty)
    #expect(try states(ledger) == ["superseded", "pending"])
    // The clock may have been set back; the monotonic one shows what came later.
    var later = event("3", .started, at: 110)
    later.realtime = 50
    #expect(try commit(ledger, [later]).superseded.map(\.event.id) == ["2"])
  }

  @Test func aRetryIsSupersededUntilItStarts() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    func fail(_ id: String) throws {
      let down = event(id, .stopped, at: 100)
      let run = try #require(
        try commit(ledger, [down], [PlannedRun(event: down, hook: "h", mode: .live)]).runs.first)
      #expect(try ledger.begin(run, container: nil, owner: "follow", now: 2) == .begun)
      let outcome = RunMachine.Outcome(state: .failed, exit: .exited(1))
      try ledger.record(
        outcome, of: run, .retry(after: 10, due: DueTime(monotonic: 210, realtime: 210)), owner: "follow", now: 3)
    }
    try fail("1")
    #expect(try ledger.waitingRetries(owner: "follow").map(\.retries) == [1])
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 9).isEmpty)
    // This also happens long after the event, and when the retry waits only for other runs.
    #expect(try ledger.takeDue(owner: "follow", now: 210, limit: 9).map(\.attempt) == [2])
    #expect(try commit(ledger, [event("up", .started, at: 9000)]).superseded.map(\.event.id) == ["1"])
    try fail("2")
    let again = try #require(try ledger.takeDue(owner: "follow", now: 210, limit: 9).first)
    #expect(try ledger.begin(again, container: nil, owner: "follow", now: 4) == .begun)
    #expect(try commit(ledger, [event("up2", .started, at: 9001)]).superseded.isEmpty)
    #expect(try states(ledger) == ["superseded", "running"])
  }

  @Test func aboveTheRateLimitTheEarlierRunIsDropped() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    var last: String?
    for id in ["1", "2", "3"] {
      let event = event(id, .reloaded, at: 100)
      var run = PlannedRun(event: event, hook: "h", mode: .live)
      run.due = DueTime(monotonic: 200, realtime: 200)
      run.rateLimitedInstead = last
      run.rateLimitEnd = 200
      last = id
      #expect(try commit(ledger, [event], [run]).waiting == 1)
    }
    #expect(try states(ledger) == ["rate-limited", "rate-limited", "pending"])
    // They are reported once, at the end of the interval.
    #expect(try ledger.nextReport() == 200)
    #expect(try ledger.takeDropped(now: 199).isEmpty)
    let dropped = DroppedRuns(hook: "h", state: .rateLimited, units: [("a.service", 2)])
    #expect(try ledger.takeDropped(now: 200) == [dropped])
    #expect(try ledger.nextReport() == nil && ledger.takeDropped(now: 300).isEmpty)
    #expect(try ledger.takeDue(owner: "follow", now: 200, limit: 9).map(\.event.id) == ["3"])
  }

  @Test func rateLimitsAreRestored() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    var definition = HookDefinition()
    definition.rateLimitInterval = TimeSpan(microseconds: 100)
    definition.rateLimitBurst = 1
    let hook = Hook(name: "h", path: "", kind: .executable, definition: definition, dropIns: [])
    var verdicts: [RateLimiter.Verdict] = []
    for (id, time) in [("1", 100), ("2", 110), ("3", 120), ("4", 500)] as [(String, UInt64)] {
      // As if journalhook had been restarted for each event.
      var limiter = RateLimiter(windows: try ledger.rateLimits())
      verdicts.append(limiter.admit(event(id, .reloaded, at: time), by: hook))
      var step = Ledger.Step(planned: [], events: [])
      step.rateLimits = limiter.takeChanges()
      _ = try ledger.commit(step, owner: "follow", now: 1)
    }
    #expect(verdicts == [.pass, .wait(90, instead: nil), .wait(80, instead: "2"), .pass])
    try ledger.database.transaction { () throws(SQLiteError) in
      try ledger.save([RateLimiter.Key(hook: "h", machine: "m", units: "a.service"): nil])
    }
    #expect(try ledger.rateLimits().isEmpty)
  }

  @Test func timesStayValidInALaterBoot() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    let start = DueTime(monotonic: 100, realtime: 100)
    try ledger.startClock(boot: "b", now: start)
    let down = event("1", .stopped, at: 100)
    _ = try commit(ledger, [down], [settling(down)])
    // The second run fails and waits for its retry. The wait of the third is over by then, but it has not started.
    var retries: [Run] = []
    for id in ["2", "3"] {
      let event = event(id, .stopped, at: 100, unit: "b.service")
      let run = try #require(
        try commit(ledger, [event], [PlannedRun(event: event, hook: "h", mode: .live)]).runs.first)
      #expect(try ledger.begin(run, container: nil, owner: "follow", now: 100) == .begun)
      let due = DueTime(monotonic: id == "2" ? 150 : 105, realtime: id == "2" ? 150 : 105)
      try ledger.record(.init(state: .failed), of: run, .retry(after: 50, due: due), owner: "follow", now: 100)
      retries.append(run)
    }
    #expect(try ledger.takeDue(owner: "follow", now: 105, limit: 9).map(\.event.id) == ["3"])
    try ledger.startClock(boot: "b", now: start)
    #expect(try ledger.nextDue(owner: "follow") == 120)
    func times() throws -> [Int64?] {
      try ledger.database.query("SELECT due FROM runs ORDER BY id").map { $0[0].integer }
    }
    // At 110 µs since 1970 the new boot has been running for 7 µs.
    try ledger.startClock(boot: "c", now: DueTime(monotonic: 7, realtime: 110))
    #expect(try times() == [17, 47, 7])
    // In the next boot all runs are due.
    try ledger.startClock(boot: "d", now: DueTime(monotonic: 5, realtime: 9000))
    #expect(try times() == [5, 5, 5])
    try ledger.putOff(retries[0], until: DueTime(monotonic: 20, realtime: 9015))
    #expect(try times() == [5, 20, 5])
    // Until it starts, a retry is superseded by the start of the unit, in this boot as in the boot of the event.
    let up = LifecycleEvent(
      id: "up", kind: .started, unit: "b.service", realtime: 9010, monotonic: 15, boot: "d", machine: "m")
    #expect(try commit(ledger, [up]).superseded.map(\.event.id) == ["2", "3"])
  }

  @Test func aFailureLeadsToOneRun() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    let down = event("1", .stopped, at: 100)
    let run = try #require(
      try commit(ledger, [down], [PlannedRun(event: down, hook: "h", mode: .live)]).runs.first)
    #expect(try ledger.begin(run, container: nil, owner: "follow", now: 2) == .begun)
    var answer = PlannedRun(event: down, hook: "alarm", mode: .live)
    answer.cause = run.id
    let alarm = try #require(
      try ledger.record(.init(state: .failed), of: run, .mended(by: answer), owner: "follow", now: 3))
    #expect(alarm.failed == Run.FailedRun(id: run.id, hook: "h"))
    // After a crash the ledger still has the run that has failed.
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 9) == [alarm])
  }

  @Test func runsOfOneUnitGoInOrderWhoeverDoesThem() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    func plan(_ id: String, at time: UInt64, owner: String, unit: String = "a.service") throws -> Run {
      let event = event(id, .started, at: time, unit: unit)
      let step = Ledger.Step(planned: [PlannedRun(event: event, hook: "h", mode: .live)], events: [event])
      return try #require(try ledger.commit(step, owner: owner, now: 1).runs.first)
    }
    ledger.isAlive = { _ in true }
    func begin(_ run: Run, _ owner: String, ended: Set<String> = []) throws -> Ledger.Begin {
      try ledger.begin(run, container: "/c/\(run.id)", owner: owner, ended: ended, now: 2)
    }
    let late = try plan("late", at: 200, owner: "follow")
    let early = try plan("early", at: 100, owner: "replay-1-1")
    let another = try plan("another", at: 300, owner: "replay-1-1", unit: "b.service")
    #expect(try begin(late, "follow") == .mustWait)
    #expect(try begin(early, "replay-1-1") == .begun)
    #expect(try begin(another, "replay-1-1") == .begun)
    #expect(try begin(late, "follow") == .mustWait)
    try ledger.record(.init(state: .succeeded), of: early, owner: "replay-1-1", now: 3)
    #expect(try begin(late, "follow") == .begun)
    let next = try plan("next", at: 250, owner: "replay-1-1")
    #expect(try begin(next, "replay-1-1") == .mustWait)
    // The runs of a dead owner do not delay others, but what they have left behind has to end.
    ledger.isAlive = { _ in false }
    #expect(try begin(next, "replay-1-1") == .leftovers(["/c/\(late.id)"]))
    #expect(try begin(next, "replay-1-1", ended: ["/c/\(late.id)"]) == .begun)
  }
}
