import Glibc
import Systemd
import TestSupport
import Testing

@testable import EventReading
@testable import HookFiles
@testable import Hooks
@testable import JournalHookDaemon
@testable import Lifecycle
@testable import Processes
@testable import RunLedger
@testable import Runs
@testable import TrustedFiles

/// Which runs events lead to, by hooks in a directory.
@Suite struct RunPlannerTests {
  private static let thisBoot = "this"
  /// When the planner was made, in microseconds since the boot.
  private static let start: UInt64 = 1_000_000_000

  private let directory: TemporaryDirectory
  private let hooks: HookStore
  private let timers = StandingTimers(monotonic: start)
  /// Readers of a journal without entries: the planner asks them only whose journal it is.
  private let readers: EventReaders

  init() throws {
    directory = try TemporaryDirectory()
    hooks = HookStore(directories: [directory.path])
    readers = try EventReaders(
      JournalSelection(journal: .namespace("journalhook-test-has-no-journal"), manager: .user(getuid())))
  }

  /// A planner with hooks for all events of maxscale.service: their names, and their further lines in `[Hook]`.
  private func planner(
    _ definitions: KeyValuePairs<String, String>, mode: Run.Mode? = nil, softReboot: UInt64 = 0
  ) throws -> RunPlanner {
    for (name, lines) in definitions {
      let text = "[Match]\nUnit=maxscale.service\nEvent=*\n[Hook]\nExec=/bin/true\n\(lines)\n"
      _ = try directory.file("\(name).hook", text, mode: 0o644)
    }
    try hooks.load()
    #expect(hooks.diagnostics.isEmpty)
    #expect(hooks.hooks.count == definitions.count)
    return RunPlanner(
      hooks: hooks, boot: CurrentBoot(id: RunPlannerTests.thisBoot, softReboot: softReboot), timers: timers, mode: mode)
  }

  /// An event some time after the planner was made, in microseconds, which may be negative.
  private func event(
    _ id: String = "1", _ kind: LifecycleEvent.Kind = .stopped, at time: Int64 = 0, unit: String = "maxscale.service",
    boot: String = thisBoot, source: LifecycleEvent.Source = .journal
  ) -> LifecycleEvent {
    LifecycleEvent(
      id: id, kind: kind, unit: unit, realtime: UInt64(1_700_000_000_000_000 + time),
      monotonic: UInt64(Int64(RunPlannerTests.start) + time), boot: boot, machine: "m", source: source)
  }

  // MARK: Live or not

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    /// Microseconds after the planner was made.
    var time: Int64
    var isOfThisBoot = true
    var source = LifecycleEvent.Source.journal
    var isCatchingUp = true
    var mode: Run.Mode
    var testDescription: String { name }
  }

  static let modes = [
    Case(name: "in the backlog, before the start", time: -1, mode: .catchUp),
    Case(name: "in the backlog, at the start", time: 0, mode: .live),
    Case(name: "in the backlog, after the start", time: 5_000_000, mode: .live),
    Case(name: "in the backlog, of another boot", time: 5_000_000, isOfThisBoot: false, mode: .catchUp),
    Case(name: "after the backlog", time: 1, isCatchingUp: false, mode: .live),
    Case(name: "after the backlog, with a time before the start", time: -1, isCatchingUp: false, mode: .live),
    Case(
      name: "found by a comparison after the backlog, before the start", time: -1, source: .reconciled,
      isCatchingUp: false, mode: .catchUp),
    Case(
      name: "found by a comparison after the backlog, after the start", time: 1, source: .reconciled,
      isCatchingUp: false, mode: .live),
    Case(name: "seen on the bus", time: -1, source: .bus, isCatchingUp: false, mode: .live),
  ]

  @Test(arguments: modes) func anEventIsLiveOrFromWhileNobodyFollowed(_ test: Case) throws {
    let planner = try planner(["h": "PreviousBoots=yes"])
    planner.isCatchingUp = test.isCatchingUp
    let event = event(
      at: test.time, boot: test.isOfThisBoot ? RunPlannerTests.thisBoot : "other", source: test.source)
    let runs = planner.plan([event], of: readers)
    #expect(runs.map(\.mode) == [test.mode])
    #expect(runs.map(\.state) == [.pending])
  }

  @Test(arguments: modes) func aReplayHasItsOwnMode(_ test: Case) throws {
    let planner = try planner(["h": "CatchUp=none\nPreviousBoots=yes"], mode: .replay)
    planner.isCatchingUp = test.isCatchingUp
    let event = event(
      at: test.time, boot: test.isOfThisBoot ? RunPlannerTests.thisBoot : "other", source: test.source)
    #expect(planner.plan([event], of: readers).map(\.mode) == [.replay])
  }

  @Test func theClockMovesOnAndTheStartStays() throws {
    let planner = try planner(["h": ""])
    timers.advance(by: 60_000_000)
    #expect(planner.plan([event(at: 1), event("2", at: -1)], of: readers).map(\.mode) == [.live, .catchUp])
  }

  // MARK: Earlier boots

  @Test(
    arguments: [
      ("", "other", 0, .stale), ("PreviousBoots=yes", "other", 0, .pending), ("", "this", 0, .pending),
      // A soft reboot keeps the boot's id: what was before it is of an earlier boot all the same.
      ("", "this", start + 1, .stale), ("", "this", start, .pending),
      ("PreviousBoots=yes", "this", start + 1, .pending),
    ] as [(String, String, UInt64, Run.State)])
  func anEventOfAnEarlierBootIsStale(lines: String, boot: String, softReboot: UInt64, state: Run.State) throws {
    let planner = try planner(["h": lines], softReboot: softReboot)
    #expect(planner.plan([event(boot: boot)], of: readers).map(\.state) == [state])
  }

  // MARK: Order and names

  @Test func runsAreInTheOrderOfEventsAndThenOfFileNames() throws {
    let planner = try planner(["50-b": "", "10-c": "", "50-a": ""])
    let events = [event("1", at: 9), event("2", .started, at: 3), event("3", .stopped, at: 5, unit: "httpd.service")]
    let runs = planner.plan(events, of: readers).map { "\($0.event.id) \($0.hook)" }
    #expect(runs == ["1 10-c", "1 50-a", "1 50-b", "2 10-c", "2 50-a", "2 50-b"])
  }

  @Test func aUnitIsKnownByTheNamesThatTheManagerHasForIt() throws {
    let planner = try planner(["h": ""])
    let stopped = event(unit: "proxy.service")
    #expect(planner.plan([stopped], of: readers).isEmpty)
    hooks.aliases.note("proxy.service", names: ["proxy.service", "maxscale.service"])
    #expect(planner.plan([stopped], of: readers).map(\.event.unit) == ["proxy.service"])
  }

  // MARK: Waiting

  /// When a run is due, in microseconds after the planner was made; nil: at once.
  private func due(_ run: PlannedRun) -> Int64? {
    run.due.map { due in
      #expect(Int64(due.realtime) - 1_700_000_000_000_000 == Int64(due.monotonic) - Int64(RunPlannerTests.start))
      return Int64(due.monotonic) - Int64(RunPlannerTests.start)
    }
  }

  @Test func overTheRateLimitTheLastEventsRunWaitsForTheInterval() throws {
    let planner = try planner(["h": "RateLimitIntervalSec=10s\nRateLimitBurst=2"])
    let times: [Int64] = [0, 1_000_000, 2_000_000, 3_000_000, 9_999_999, 10_000_000, 11_000_000, 40_000_000]
    let events = times.enumerated().map { event("\($0.offset + 1)", at: $0.element) }
    let runs = planner.plan(events, of: readers)
    #expect(runs.map(due) == [nil, nil, 10_000_000, 10_000_000, 10_000_000, nil, 20_000_000, nil])
    // Each gives up the run that waited before it in the same interval.
    #expect(runs.map(\.rateLimitedInstead) == [nil, nil, nil, "3", "4", nil, nil, nil])
    let ends = runs.map { run in run.rateLimitEnd.map { Int64($0) - 1_700_000_000_000_000 } }
    #expect(ends == [nil, nil, 10_000_000, 10_000_000, 10_000_000, nil, 20_000_000, nil])
    #expect(runs.allSatisfy { $0.state == .pending && $0.settle == nil })
  }

  @Test func rateLimitsAreCountedByHook() throws {
    let planner = try planner(["g": "RateLimitBurst=1", "h": "RateLimitBurst=2", "i": "RateLimitBurst=0"])
    let events = (1...3).map { event("\($0)", at: Int64($0)) }
    let waiting = planner.plan(events, of: readers).filter { $0.due != nil }.map { "\($0.event.id) \($0.hook)" }
    #expect(waiting == ["2 g", "3 g", "3 h"])
  }

  @Test(
    arguments: [
      // What is caught up with, asked for, or never done, is not counted.
      ("RateLimitBurst=1", nil, -1), ("RateLimitBurst=1", .replay, 1), ("RateLimitBurst=1\nCatchUp=none", nil, -1),
    ] as [(String, Run.Mode?, Int64)])
  func onlyLiveRunsCountForTheRateLimit(lines: String, mode: Run.Mode?, time: Int64) throws {
    let planner = try planner(["h": lines], mode: mode)
    let runs = planner.plan((1...3).map { event("\($0)", at: time) }, of: readers)
    #expect(runs.count == 3 && runs.allSatisfy { $0.due == nil && $0.rateLimitedInstead == nil })
    #expect(planner.limiter.takeChanges().isEmpty)
    planner.isCatchingUp = false
    // The first live one is the first that is counted.
    if mode == nil { #expect(planner.plan([event("9", at: 2)], of: readers).map(\.due) == [nil]) }
  }

  @Test(
    arguments: [
      ("SettleSec=3s", [3_000_000, 4_000_000]),
      // The longer wait counts.
      ("SettleSec=3s\nRateLimitBurst=1\nRateLimitIntervalSec=10s", [3_000_000, 10_000_000]),
      ("SettleSec=30s\nRateLimitBurst=1\nRateLimitIntervalSec=10s", [30_000_000, 31_000_000]),
      ("SettleSec=0", [nil, nil]),
    ] as [(String, [Int64?])])
  func aRunSettlesAfterItsEvent(lines: String, times: [Int64?]) throws {
    let planner = try planner(["h": lines])
    let runs = planner.plan([event("1", at: 0), event("2", at: 1_000_000)], of: readers)
    #expect(runs.map(due) == times)
    #expect(runs.map(\.settle) == times.map { _ in lines.hasPrefix("SettleSec=0") ? nil : runs[0].settle })
  }

  @Test func aCaughtUpRunSettlesFromItsEventOn() throws {
    let planner = try planner(["h": "SettleSec=3s\nCatchUp=latest"])
    let runs = planner.plan([event(at: -2_000_000)], of: readers)
    #expect(runs.map(\.isHeld) == [true])
    #expect(runs.map(due) == [1_000_000])
    // After another boot it waits for what is left of its time on the wall clock, and no longer than it was to.
    try hooks.load()
    let others = try self.planner(["h": "SettleSec=3s\nPreviousBoots=yes"])
      .plan([event("2", at: -2_000_000, boot: "other"), event("3", at: 9_000_000, boot: "other")], of: readers)
    #expect(others.map { $0.due?.monotonic } == [RunPlannerTests.start + 1_000_000, RunPlannerTests.start + 3_000_000])
  }

  @Test func whatIsNeverDoneDoesNotWait() throws {
    let planner = try planner(["h": "SettleSec=3s\nRateLimitBurst=1"])
    let runs = planner.plan([event("1", boot: "other"), event("2", boot: "other")], of: readers)
    #expect(runs.map(\.state) == [.stale, .stale])
    #expect(runs.allSatisfy { $0.due == nil && $0.settle == nil })
  }
}
