import Glibc
import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import RunLedger
@testable import Runs

/// The ledger on a real SQLite file.
@Suite struct LedgerTests {
  private final class Directory {
    let path: String
    init() {
      var template = Array("/tmp/journalhook-ledger-XXXXXX".utf8CString)
      path = mkdtemp(&template).map { String(cString: $0) } ?? ""
    }
    /// It starts no process, because other tests wait for every child.
    deinit {
      for name in ["journalhook.db", "journalhook.db-wal", "journalhook.db-shm", "follow.lock"] {
        unlink("\(path)/\(name)")
      }
      rmdir(path)
    }
  }

  private let cursor =
    "s=98517bc85f8742f480491d9af697580e;i=1;b=e49253355d24485eb6bf332ea39713fe;m=4c2a04b5;t=660e306346465;"
    + "x=9364e7d377f1afdc"

  private func event(
    _ id: String, _ kind: LifecycleEvent.Kind = .stopped, unit: String = "a.service"
  ) -> LifecycleEvent {
    LifecycleEvent(
      id: id, kind: kind, unit: unit, result: "exit-code", restartJob: true, autoRestart: false, invocation: "i",
      job: .init(id: 7, type: "stop", result: "done"), exitCode: "exited", exitStatus: "3", nRestarts: 2,
      message: "a \"quoted\"\nmessage \u{1F600}", realtime: 1_700_000_000_123_456, monotonic: 42, boot: "b",
      machine: "m", hostname: "h", manager: .user(1000), source: .restartFailed, cursor: "s=1;i=2")
  }

  private func commit(
    _ ledger: Ledger, _ planned: [PlannedRun], tracker: LifecycleTracker = LifecycleTracker(),
    changes: Set<LifecycleTracker.Key> = [], catchingUp: Bool = false, again: Bool = false
  ) throws -> [Run] {
    var step = Ledger.Step(planned: planned, events: planned.map(\.event))
    step.cursor = cursor
    step.reader = "local"
    step.changes = changes
    step.tracker = tracker
    step.isCatchingUp = catchingUp
    step.again = again
    return try ledger.commit(step, owner: "follow", now: 1).runs
  }

  @Test func aRunIsAddedOnce() throws {
    let directory = Directory()
    let ledger = try Ledger(stateDirectory: directory.path)
    let planned = PlannedRun(event: event("1"), hook: "x", mode: .live)
    let runs = try commit(ledger, [planned])
    #expect(runs.map(\.event) == [event("1")])
    #expect(try commit(ledger, [planned]).isEmpty)
    #expect(try commit(ledger, [planned], again: true).count == 1)
    #expect(try commit(ledger, [PlannedRun(event: event("1"), hook: "y", mode: .live)]).count == 1)
    #expect(try ledger.position(of: "local") == JournalCursor(cursor).map(Ledger.Position.after))
    try ledger.begin([.init(reader: "local", at: .from(17), forgetting: "m")])
    #expect(try ledger.position(of: "local") == .from(17))
    #expect(try ledger.position(of: "files") == nil)
  }

  @Test func eventsAreRestored() throws {
    let directory = Directory()
    do {
      let ledger = try Ledger(stateDirectory: directory.path)
      _ = try commit(ledger, [PlannedRun(event: event("1"), hook: "x", mode: .catchUp)])
    }
    let runs = try Ledger(stateDirectory: directory.path).openRuns(owner: "follow", after: 0, limit: 10)
    #expect(runs == [Run(id: 1, hook: "x", event: event("1"), mode: .catchUp, attempt: 1)])
  }

  @Test func aRunHasFailedAfterTheThirdInterruption() throws {
    let directory = Directory()
    var ledger = try Ledger(stateDirectory: directory.path)
    _ = try commit(ledger, [PlannedRun(event: event("1"), hook: "x", mode: .live)])
    for attempt in 1...3 {
      let run = try #require(try ledger.openRuns(owner: "follow", after: 0, limit: 10).first)
      #expect(run.attempt == attempt)
      #expect(try ledger.begin(run, container: "/c/\(attempt)", owner: "follow", now: 2) == .begun)
      #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 10).isEmpty)
      ledger = try Ledger(stateDirectory: directory.path)
      #expect(try ledger.containers(owner: "follow") == ["/c/\(attempt)"])
      try ledger.forgetContainers(owner: "follow")
      let interrupted = try ledger.interruptRunning(owner: "follow", now: 3)
      #expect(interrupted.map(\.what) == [attempt == 3 ? .gaveUp : .rerun])
    }
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 10).isEmpty)
    #expect(try ledger.state(ofEvent: "1", hook: "x") == .failed)
    let attempts = try ledger.database.query("SELECT attempt, state FROM attempts ORDER BY attempt")
    #expect(attempts == (1...3).map { [.integer($0), .text("interrupted")] })
  }

  @Test func outcomesAreFinal() throws {
    let directory = Directory()
    let ledger = try Ledger(stateDirectory: directory.path)
    let outcomes: [(RunMachine.Outcome, Bool)] = [
      (.init(state: .succeeded, exit: .exited(0)), false), (.init(state: .failed, exit: .killed(9)), false),
      (.init(state: .interrupted), true),
    ]
    for (index, (outcome, isOpen)) in outcomes.enumerated() {
      let run = try #require(
        try commit(ledger, [PlannedRun(event: event("\(index)"), hook: "x", mode: .live)]).first)
      #expect(try ledger.begin(run, container: nil, owner: "follow", now: 2) == .begun)
      try ledger.record(outcome, of: run, isOpen ? .rerun : .final, owner: "follow", now: 3)
      #expect(try ledger.interruptRunning(owner: "follow", now: 4).isEmpty == !isOpen)
      #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 10).map(\.id) == (isOpen ? [run.id] : []))
    }
  }

  @Test func onlyTheLastEventCountsWithCatchUpLatest() throws {
    let directory = Directory()
    let ledger = try Ledger(stateDirectory: directory.path)
    func held(_ id: String, _ kind: LifecycleEvent.Kind, _ hook: String, unit: String = "a.service") -> PlannedRun {
      PlannedRun(event: event(id, kind, unit: unit), hook: hook, mode: .catchUp, isHeld: true)
    }
    let runs = [
      held("1", .stopped, "down"), held("2", .started, "up"), held("3", .stopped, "down"), held("4", .failed, "down"),
      held("5", .stopped, "down", unit: "b.service"), held("6", .reloaded, "other"), held("7", .reloaded, "other"),
    ]
    #expect(try commit(ledger, runs, catchingUp: true).isEmpty)
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 10).isEmpty)
    try ledger.releaseHeld(owner: "follow")
    let left = try ledger.openRuns(owner: "follow", after: 0, limit: 10).map(\.event.id)
    #expect(left == ["3", "4", "5", "7"])
    #expect(try ledger.state(ofEvent: "1", hook: "down") == .superseded)
    // The superseded runs are reported together.
    let dropped = try ledger.takeDropped(now: 0)
    #expect(dropped.map(\.hook) == ["down", "other", "up"])
    #expect(dropped.allSatisfy { $0.state == .superseded && $0.count == 1 })
  }

  @Test func theTrackerIsRestored() throws {
    let directory = Directory()
    let ledger = try Ledger(stateDirectory: directory.path)
    var state = UnitState()
    state.phase = .up
    state.invocation = "0123"
    state.previousInvocations = ["4567", "89ab"]
    state.likelyResult = "timeout"
    state.awaits = [.start, .stopping]
    state.lastSeen = 99
    state.stop = .init(id: 12)
    state.pending = event("p")
    state.pendingFailure = event("f", .failed)
    state.restart.unanswered = event("r")
    state.restart.count = 3
    state.exit = .init(code: "killed", status: "9")
    state.restart.hasGoneDown = true
    state[.gaveUpEmitted] = true
    state.earlyInvocations = ["0123", "cdef"]
    state[.endEmitted] = true
    state.lastUp = 7
    state.lastDown = 8
    state.restart.job = 13
    state.restart.isOpen = true
    state.restart.isAutomatic = true
    state[.failureEmitted] = true
    state[.succeededWhileStarting] = true
    state[.skipEmitted] = true
    for (field, initial) in zip(Mirror(reflecting: state).children, Mirror(reflecting: UnitState()).children) {
      #expect("\(field.value)" != "\(initial.value)", "\(field.label ?? "") has to be tested, too")
    }
    let key = LifecycleTracker.Key(machine: "m", manager: .user(1000), unit: "odd name\n;.service")
    let tracker = LifecycleTracker(units: [key: state], boots: ["m": "b"])
    _ = try commit(ledger, [], tracker: tracker, changes: [key])
    let restored = try ledger.tracker(of: "m")
    // The events of a unit have its manager, which the ledger stores once.
    #expect(restored.units == tracker.units)
    #expect(restored.boots == tracker.boots)
    #expect(try ledger.tracker(of: "another").units.isEmpty)
    _ = try commit(ledger, [], tracker: LifecycleTracker(), changes: [key])
    #expect(try ledger.tracker(of: "m").units.isEmpty)
  }

  @Test func aSecondFollowerIsRefusedWithTheNameOfTheFirst() throws {
    let directory = Directory()
    _ = try Ledger(stateDirectory: directory.path)
    let first = try LedgerLock(stateDirectory: directory.path)
    #expect {
      _ = try LedgerLock(stateDirectory: directory.path)
    } throws: { error in
      "\(error)".contains("process \(getpid())")
    }
    _ = consume first
    _ = try LedgerLock(stateDirectory: directory.path)
  }

  @Test func aLedgerOfAnEarlierVersionIsMigrated() throws {
    let directory = Directory()
    do {
      let database = try SQLiteDatabase(path: "\(directory.path)/journalhook.db")
      try LedgerSchema.migrate(database, to: 1)
      // Up to version 2 the flags had other names.
      let old = event("1").json.text.replacing("restart_job", with: "restart").replacing("auto_restart", with: "auto")
      for (id, json, state) in [(1, old, "pending"), (2, "{damaged", "succeeded")] {
        try database.query(
          """
          INSERT INTO runs(event_id, hook, unit, event, event_json, event_time, event_monotonic, manager, mode, owner,
            state, created) VALUES(?, 'x', 'a.service', 'stopped', ?, 5, 6, 'system', 'live', 'follow', ?, 7)
          """, SQLiteValue(id), .text(json), .text(state))
      }
    }
    #expect { _ = try Ledger(stateDirectory: directory.path, readOnly: true) } throws: {
      "\($0)".contains("schema 1 of an earlier journalhook")
    }
    let ledger = try Ledger(stateDirectory: directory.path)
    #expect(try LedgerSchema.version(of: ledger.database) == LedgerSchema.version)
    let runs = try ledger.openRuns(owner: "follow", after: 0, limit: 10)
    #expect(runs.map(\.id) == [1])
    #expect(runs.first?.event.restartJob == true)
    #expect(runs.first?.event.autoRestart == false)
    let machines = try ledger.database.query("SELECT machine FROM runs ORDER BY id")
    #expect(machines == [[.text("m")], [.text("")]])
    _ = try Ledger(stateDirectory: directory.path, readOnly: true)
  }

  @Test func finishedRunsAreRemovedByAgeAndByNumber() throws {
    let directory = Directory()
    let ledger = try Ledger(stateDirectory: directory.path)
    // Thirty runs that have ended in the order 1, 2, … s. The first is open, the second may have left processes behind.
    for number in 1...30 {
      var event = event("\(number)")
      event.realtime = UInt64(number) * 1000
      let run = try #require(try commit(ledger, [PlannedRun(event: event, hook: "x", mode: .live)]).first)
      if number == 1 { continue }
      #expect(try ledger.begin(run, container: number == 2 ? "/c" : nil, owner: "follow", now: 1) == .begun)
      let outcome = RunMachine.Outcome(state: .succeeded, exit: .exited(0))
      _ = try ledger.record(outcome, of: run, owner: "follow", now: UInt64(number) * 1_000_000)
    }
    #expect(try ledger.horizon() == nil)
    try ledger.requireRuns(since: 0)
    func forget(_ time: TimeSpan, _ runs: UInt32?) throws -> [Int64] {
      var keep = HistoryKeep()
      keep.time = time
      keep.runs = runs
      var position: Int64? = 0
      while let last = position {
        position = try ledger.removeRuns(beyond: keep, after: last, limit: 4, now: 30_000_000)
      }
      return try ledger.database.query("SELECT id FROM runs ORDER BY id").compactMap { $0[0].integer }
    }
    #expect(try forget(.infinity, nil).count == 30)
    #expect(try forget(.seconds(30), 30).count == 30)
    #expect(try forget(.seconds(20), nil) == [1, 2] + Array(10...30))
    #expect(try ledger.horizon() == 9000)
    #expect(try forget(.seconds(20), 10) == [1, 2] + Array(23...30))
    #expect(try ledger.horizon() == 22000)
    #expect(try ledger.database.query("SELECT count(*) FROM attempts") == [[.integer(9)]])
    try ledger.requireRuns(since: 22001)
    #expect { try ledger.requireRuns(since: 22000) } throws: { ($0 as? LedgerError)?.kind == .beforeHorizon }
  }

  @Test func aFileThatIsNotALedgerIsRefused() throws {
    let directory = Directory()
    let file = try #require(fopen("\(directory.path)/journalhook.db", "w"))
    fputs("this is not a database, but it is long enough for SQLite to read it as one, and then to refuse it", file)
    fclose(file)
    #expect(throws: LedgerError.self) { _ = try Ledger(stateDirectory: directory.path) }
    #expect(throws: LedgerError.self) { _ = try Ledger(stateDirectory: "/proc/nowhere") }
    let newer = Directory()
    try Ledger(stateDirectory: newer.path).database.execute("PRAGMA user_version=99")
    #expect { _ = try Ledger(stateDirectory: newer.path) } throws: { ($0 as? LedgerError)?.kind == .tooNew }
  }
}
