import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

@Suite struct MatchingTests {
  private func matchSection(_ lines: String) -> HookMatch? {
    definition("[Match]\n" + lines + "\n[Hook]\nExec=x")?.match
  }

  @Test(arguments: [
    ("Unit=maxscale\nEvent=stopped", true),
    ("Unit=maxscale.service\nEvent=stopped failed", true),
    ("Unit=maxscale\nEvent=started", false),
    ("Unit=maxscale.socket\nEvent=stopped", false),
    ("Unit=max*\nEvent=*", true),
    ("Unit=a b maxscale\nEvent=*", true),
    ("Unit=max* !maxscale\nEvent=*", false),
    ("Unit=!maxscale\nEvent=*", false),
    ("Unit=!other\nEvent=*", true),
    ("Unit=maxscale\nEvent=!started", true),
    ("Unit=maxscale\nEvent=* !stopped", false),
    ("Unit=maxscale\nEvent=*\nResult=signal", true),
    ("Unit=maxscale\nEvent=*\nResult=success timeout", false),
    ("Unit=maxscale\nEvent=*\nResult=!success", true),
    ("Unit=maxscale\nEvent=*\nExitStatus=9", false),
    ("Unit=maxscale\nEvent=*\nExitStatus=KILL", true),
    ("Unit=maxscale\nEvent=*\nExitStatus=1 SIGKILL", true),
    ("Unit=maxscale\nEvent=*\nExitStatus=!SIGKILL", false),
    ("Unit=maxscale\nEvent=*\nRestartJob=yes", true),
    ("Unit=maxscale\nEvent=*\nRestartJob=no", false),
    ("Unit=maxscale\nEvent=*\nRestartJob=!no", true),
    ("Unit=maxscale\nEvent=*\nAutoRestart=no", true),
    ("Unit=maxscale\nEvent=*\nAutoRestart=on", false),
    ("Unit=maxscale\nEvent=*\nHost=web?", true),
    ("Unit=maxscale\nEvent=*\nHost=WEB1 db*", true),
    ("Unit=maxscale\nEvent=*\nHost=!web*", false),
    ("Unit=mxs\nEvent=*", true),
    ("Unit=m[x]s.service\nEvent=*", true),
    ("Unit=* !mxs\nEvent=*", false),
  ])
  func decides(_ lines: String, _ expected: Bool) throws {
    let match = try #require(matchSection(lines))
    let event = event(result: "signal", restartJob: true, exit: ("killed", "9"), hostname: "web1")
    #expect(match.matches(event, aliases: ["mxs.service"]) == expected)
    #expect(match.evaluate(event, aliases: ["mxs.service"]).allSatisfy(\.holds) == expected)
  }

  @Test func readsAMissingFlagAsNo() throws {
    let match = try #require(matchSection("Unit=a\nEvent=*\nRestartJob=no\nAutoRestart=no"))
    #expect(match.matches(event(.failed, "a.service")))
    let exits = try #require(matchSection("Unit=a\nEvent=*\nExitStatus=0 TEMPFAIL"))
    #expect(exits.matches(event(.stopped, "a.service", exit: ("exited", "75"))))
    #expect(!exits.matches(event(.stopped, "a.service", exit: ("killed", "75"))))
    #expect(!exits.matches(event(.stopped, "a.service")))
  }

  @Test(arguments: [
    ("Unit=*", false), ("Unit=journal*", false), ("Unit=!other", false), ("Unit=journalhook", true),
    ("Unit=* journalhook.service", true),
  ])
  func sparesItsOwnUnits(_ line: String, _ expected: Bool) throws {
    let match = try #require(matchSection(line + "\nEvent=*"))
    #expect(match.matches(event(.stopped, "journalhook.service")) == expected)
    #expect(
      match.matches(event(.stopped, "systemd-journald.service"))
        == (line != "Unit=journal*" && line != "Unit=journalhook"))
  }

  @Test func explains() throws {
    let match = try #require(matchSection("Event=started !stopped\nUnit=max* b\nResult=success"))
    let results = match.evaluate(event(result: "timeout"))
    #expect(results.map(\.key) == [.unit, .event, .result])
    #expect(results.map(\.holds) == [true, false, false])
    #expect(results.map(\.decidedBy) == ["max*", "!stopped", nil])
    #expect(results.map(\.actual) == ["maxscale.service", "stopped", "timeout"])
    #expect(results[0].values == ["max*", "b.service"])
  }
}
