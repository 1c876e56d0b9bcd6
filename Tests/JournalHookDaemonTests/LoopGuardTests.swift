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

/// Hooks that drive themselves by units that come to be while they run.
@Suite struct LoopGuardTests {
  private let directory: TemporaryDirectory
  private let ledger: Ledger

  init() throws {
    directory = try TemporaryDirectory()
    ledger = try Ledger(stateDirectory: directory.path)
  }

  /// Units that fail, with the times in seconds at which they are first heard of; each one's run takes one second, from the
  /// moment on at which it fails.
  ///
  /// - Returns: the units for which the hook is suspended, and what is reported.
  private func judge(
    _ units: [(name: String, birth: Double)], known: [String] = [], files: Set<String> = [],
    script: String = "systemd-run --no-block false", hooks: [String] = ["h"]
  ) throws -> (suspended: [String], reports: [String]) {
    var reports: [String] = []
    let keys = known.map { LifecycleTracker.Key(machine: "m", manager: .system, unit: $0) }
    let loopGuard = LoopGuard(
      ledger: ledger, effects: { hooks.map { ($0, HookEffects(exec: nil, script: script)) } }, units: keys,
      hasUnitFile: files.contains
    ) { reports.append($0) }
    var suspended: [String] = []
    func event(_ unit: String, _ kind: LifecycleEvent.Kind, at time: UInt64) -> LifecycleEvent {
      LifecycleEvent(
        id: "\(unit)-\(kind.rawValue)", kind: kind, unit: unit, realtime: time, monotonic: time, boot: "b", machine: "m"
      )
    }
    for (index, (unit, birth)) in units.enumerated() {
      let hook = hooks[index % hooks.count]
      let time = UInt64((birth + 1000) * 1_000_000)
      loopGuard.note(event(unit, .started, at: time))
      let failed = event(unit, .failed, at: time + 1000)
      loopGuard.note(failed)
      var planned = PlannedRun(event: failed, hook: hook, mode: .live)
      switch loopGuard.judge(failed, by: hook) {
      case .pass(let cause): planned.cause = cause
      case .suspended:
        planned.state = .skipped
        suspended.append(unit)
      }
      let step = Ledger.Step(planned: [planned], events: [failed])
      for run in try ledger.commit(step, owner: "follow", now: time + 1000).runs {
        #expect(try ledger.begin(run, container: nil, owner: "follow", now: time + 1000) == .begun)
        try ledger.record(.init(state: .succeeded), of: run, owner: "follow", now: time + 1_001_000)
      }
    }
    return (suspended, reports)
  }

  private func transient(_ births: [Double]) -> [(name: String, birth: Double)] {
    births.enumerated().map { ("run-r\($0.offset).service", $0.element) }
  }

  @Test func aChainOfNewUnitsIsACycle() throws {
    // Each comes to be at the end of the run for the one before.
    let (suspended, reports) = try judge(transient((0..<12).map { Double($0) * 1.1 }))
    #expect(suspended == ["run-r10.service"], "what was not run leads to no unit of the hook's")
    #expect(reports.count == 1)
    #expect(reports.first?.contains("run-r0.service → run-r1.service → run-r2.service") == true)
    #expect(reports.first?.contains("→ run-r9.service → run-r10.service. Until ") == true)
  }

  @Test func twoHooksThatMakeUnitsForEachOtherAreACycle() throws {
    let (suspended, reports) = try judge(transient((0..<24).map { Double($0) * 1.1 }), hooks: ["g", "h"])
    #expect(suspended.first == "run-r20.service")
    #expect(reports.first?.contains("Hook g drives itself in a cycle, 10 times in 5 minutes: g → h → g, each") == true)
  }

  @Test(arguments: ["echo \"$JOURNALHOOK_UNIT\" >>/root/log", "systemctl restart httpd"])
  func whatSomebodyElseStartsInARowIsNone(_ script: String) throws {
    #expect(try judge(transient((0..<30).map { Double($0) * 0.1 }), script: script).suspended.isEmpty)
  }

  @Test func itIsSuspendedForFiveMinutes() throws {
    let cycle = (0..<11).map { Double($0) * 1.1 }
    // Later one fails by itself, and another while the hook runs for it: once within the five minutes, once behind them.
    let (suspended, reports) = try judge(transient(cycle + [100, 100.5, 320, 320.5]))
    #expect(suspended == ["run-r10.service", "run-r12.service"])
    #expect(reports.count == 1)
  }

  @Test(arguments: ["session-%.scope", "user@%.service", "sshd@%-192.0.2.1:22-192.0.2.2:4711.service", "a@%-0.service"])
  func unitsThatComeFromOutsideAreNone(_ name: String) throws {
    let units = (0..<30).map { (name: name.replacing("%", with: "\($0)"), birth: Double($0) * 0.5) }
    #expect(try judge(units).suspended.isEmpty)
  }

  @Test func unitsThatComeTooLateAreNone() throws {
    #expect(try judge(transient((0..<30).map { Double($0) * 2 })).suspended.isEmpty)
  }

  @Test func unitsThatHaveBeenThereAreNone() throws {
    func units(_ name: String, from time: Double) -> [(name: String, birth: Double)] {
      (0..<12).map { ("\(name)\($0).service", time + Double($0) * 1.1) }
    }
    let (known, made, gone) = (units("known", from: 0), units("made", from: 100), units("gone", from: 200))
    #expect(try judge(known, known: known.map(\.name)).suspended.isEmpty)
    #expect(try judge(made, files: Set(made.map(\.name))).suspended.isEmpty)
    #expect(try judge(gone).suspended.count == 1)
  }
}
