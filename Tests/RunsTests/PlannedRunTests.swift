internal import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import Runs

/// Which run an event leads to by a hook, and what becomes of it at once.
@Suite struct PlannedRunTests {
  /// A hook for the stops of maxscale.service, with further lines in `[Hook]`.
  private func hook(_ lines: String = "", unit: String = "maxscale.service") throws -> Hook {
    let text = "[Match]\nUnit=\(unit)\nEvent=stopped\n[Hook]\nExec=/bin/true\n\(lines)\n"
    let result = loadHook(name: "h", path: "/h.hook", kind: .definitionFile, contents: Array(text.utf8))
    guard case .hook(let hook, let diagnostics) = result else { throw Broken(diagnostics: result.diagnostics) }
    #expect(diagnostics.isEmpty)
    return hook
  }

  private struct Broken: Error { var diagnostics: [Diagnostic] }

  private func plan(
    _ hook: Hook, _ mode: Run.Mode = .live, for event: LifecycleEvent = event(.stopped), isOfEarlierBoot: Bool = false,
    aliases: [String] = []
  ) -> PlannedRun? {
    PlannedRun(event, hook: hook, mode: mode, isOfEarlierBoot: isOfEarlierBoot, aliases: aliases)
  }

  // MARK: Whether there is one

  @Test func onlyEventsOfTheHookLeadToARun() throws {
    let hook = try hook()
    #expect(plan(hook, for: event(.stopped, "maxscale.service")) != nil)
    #expect(plan(hook, for: event(.started, "maxscale.service")) == nil)
    #expect(plan(hook, for: event(.stopped, "httpd.service")) == nil)
  }

  @Test func aUnitIsKnownByItsOtherNames() throws {
    let hook = try hook(unit: "mysql.service")
    let stopped = event(.stopped, "mariadb.service")
    #expect(plan(hook, for: stopped) == nil)
    #expect(plan(hook, for: stopped, aliases: ["mysqld.service", "mysql.service"])?.event.unit == "mariadb.service")
  }

  // MARK: What becomes of it

  struct Case: Sendable, CustomTestStringConvertible {
    var lines: String
    var mode: Run.Mode
    var isOfEarlierBoot = false
    var state = Run.State.pending
    var isHeld = false
    var reason: String?
    var testDescription: String {
      "\(lines.isEmpty ? "no keys" : lines), \(mode.rawValue)\(isOfEarlierBoot ? ", of an earlier boot" : "")"
    }
  }

  private static let stale = "the event is of an earlier boot, and the hook does not say PreviousBoots=yes"
  private static let skipped = "the event is from while nobody followed, and the hook says CatchUp=none"

  static let cases = [
    Case(lines: "", mode: .live), Case(lines: "", mode: .catchUp), Case(lines: "", mode: .replay),
    // CatchUp= counts for events from while nobody followed, and for no others.
    Case(lines: "CatchUp=all", mode: .catchUp),
    Case(lines: "CatchUp=latest", mode: .catchUp, isHeld: true),
    Case(lines: "CatchUp=latest", mode: .live), Case(lines: "CatchUp=latest", mode: .replay),
    Case(lines: "CatchUp=none", mode: .catchUp, state: .skipped, reason: skipped),
    Case(lines: "CatchUp=none", mode: .live), Case(lines: "CatchUp=none", mode: .replay),
    // An event of an earlier boot is stale in every mode, unless the hook wants it.
    Case(lines: "", mode: .live, isOfEarlierBoot: true, state: .stale, reason: stale),
    Case(lines: "", mode: .catchUp, isOfEarlierBoot: true, state: .stale, reason: stale),
    Case(lines: "", mode: .replay, isOfEarlierBoot: true, state: .stale, reason: stale),
    Case(lines: "PreviousBoots=yes", mode: .catchUp, isOfEarlierBoot: true),
    Case(lines: "PreviousBoots=yes", mode: .replay, isOfEarlierBoot: true),
    Case(lines: "PreviousBoots=no", mode: .catchUp, isOfEarlierBoot: true, state: .stale, reason: stale),
    // Both keys together: the boot counts first.
    Case(
      lines: "CatchUp=none\nPreviousBoots=no", mode: .catchUp, isOfEarlierBoot: true, state: .stale, reason: stale),
    Case(
      lines: "CatchUp=none\nPreviousBoots=yes", mode: .catchUp, isOfEarlierBoot: true, state: .skipped,
      reason: skipped),
    Case(lines: "CatchUp=latest\nPreviousBoots=yes", mode: .catchUp, isOfEarlierBoot: true, isHeld: true),
    Case(lines: "CatchUp=latest", mode: .catchUp, isOfEarlierBoot: true, state: .stale, reason: stale),
  ]

  @Test(arguments: cases) func theHookSaysWhatOldEventsLeadTo(_ test: Case) throws {
    let run = try #require(plan(try hook(test.lines), test.mode, isOfEarlierBoot: test.isOfEarlierBoot))
    #expect(run.event == event(.stopped))
    #expect(run.hook == "h")
    #expect(run.mode == test.mode)
    #expect(run.state == test.state)
    #expect(run.reason == test.reason)
    #expect(run.isHeld == test.isHeld)
    // These are decided by others, later.
    #expect(run.due == nil && run.cause == nil && run.rateLimitedInstead == nil && run.rateLimitEnd == nil)
  }

  @Test(
    arguments: [
      ("", .live, false, nil), ("SettleSec=0", .live, false, nil), ("SettleSec=3s", .live, false, 3_000_000),
      ("SettleSec=3s", .catchUp, false, 3_000_000), ("SettleSec=1", .replay, false, 1_000_000),
      // What is held may have to settle, too; what will never be done need not.
      ("SettleSec=3s\nCatchUp=latest", .catchUp, false, 3_000_000),
      ("SettleSec=3s\nCatchUp=none", .catchUp, false, nil),
      ("SettleSec=3s", .catchUp, true, nil), ("SettleSec=3s\nPreviousBoots=yes", .catchUp, true, 3_000_000),
    ] as [(String, Run.Mode, Bool, UInt64?)])
  func aRunSettlesAsLongAsTheHookSays(lines: String, mode: Run.Mode, isOfEarlierBoot: Bool, settle: UInt64?) throws {
    let run = try #require(plan(try hook(lines), mode, isOfEarlierBoot: isOfEarlierBoot))
    #expect(run.settle == settle)
  }

  @Test(arguments: [("", false), ("Parallel=no", false), ("Parallel=yes", true)])
  func aParallelHooksRunHasALaneOfItsOwn(lines: String, isParallel: Bool) throws {
    for isOfEarlierBoot in [false, true] {
      #expect(plan(try hook(lines), isOfEarlierBoot: isOfEarlierBoot)?.isParallel == isParallel)
    }
  }
}
