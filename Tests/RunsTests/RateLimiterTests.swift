import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import Runs

@Suite struct RateLimiterTests {
  private func hook(_ name: String = "h", interval: UInt64 = 10, burst: UInt32 = 3) -> Hook {
    var definition = HookDefinition()
    definition.rateLimitInterval = TimeSpan(microseconds: interval)
    definition.rateLimitBurst = burst
    return Hook(name: name, path: "", kind: .executable, definition: definition, dropIns: [])
  }

  private func event(_ time: UInt64, unit: String = "a.service") -> LifecycleEvent {
    LifecycleEvent(
      id: "\(time)", kind: .started, unit: unit, realtime: time, monotonic: time, boot: "b", machine: "m")
  }

  @Test func overTheLimitTheLastWaits() {
    var limiter = RateLimiter()
    let verdicts = [100, 101, 102, 103, 104, 109].map { limiter.admit(event($0), by: hook()) }
    #expect(
      verdicts == [
        .pass, .pass, .pass, .wait(7, instead: nil), .wait(6, instead: "103"), .wait(1, instead: "104"),
      ])
    // What waited is the first of the next interval.
    #expect([110, 111, 112].map { limiter.admit(event($0), by: hook()) } == [.pass, .pass, .wait(8, instead: nil)])
    // After a pause all is new.
    #expect([200, 201, 202].map { limiter.admit(event($0), by: hook()) } == [.pass, .pass, .pass])
  }

  @Test func aClockThatWasSetBackBeginsAnew() {
    var limiter = RateLimiter()
    for _ in 0..<3 { #expect(limiter.admit(event(100), by: hook()) == .pass) }
    #expect(limiter.admit(event(50), by: hook()) == .pass)
  }

  @Test func zeroDisables() {
    var limiter = RateLimiter()
    for limited in [hook(interval: 0), hook(burst: 0)] {
      for _ in 0..<100 { #expect(limiter.admit(event(100), by: limited) == .pass) }
    }
    #expect(limiter.count == 0)
  }

  @Test(arguments: [
    ("a.service", "a.service"), ("a@1.service", "a@.service"), ("a@1.socket", "a@.socket"),
    ("run-u12.service", "run-*.service"), ("run-r0f.scope", "run-*.scope"), ("session-3.scope", "session-*.scope"),
    ("run-user-0.mount", "run-user-0.mount"), ("running.service", "running.service"),
  ])
  func unitsThatCountAsOne(_ unit: String, _ group: String) { #expect(RateLimiter.group(of: unit) == group) }

  @Test func hooksAndUnitsCountByThemselvesAndAreForgotten() {
    var limiter = RateLimiter()
    for unit in ["a.service", "b.service"] {
      for name in ["h", "i"] {
        for _ in 0..<3 { #expect(limiter.admit(event(100, unit: unit), by: hook(name)) == .pass) }
      }
    }
    for number in 0..<10_000 {
      _ = limiter.admit(event(200 + UInt64(number), unit: "u\(number).service"), by: hook())
    }
    #expect(limiter.count < 600)
  }

  @Test func aRestartForgetsNothing() {
    var limiter = RateLimiter()
    var kept: [RateLimiter.Key: RateLimiter.Window] = [:]
    var verdicts: [RateLimiter.Verdict] = []
    for time: UInt64 in [100, 101, 102, 103, 104, 110, 200] {
      verdicts.append(limiter.admit(event(time), by: hook()))
      for (key, window) in limiter.takeChanges() { kept[key] = window }
      #expect(limiter.takeChanges().isEmpty)
      limiter = RateLimiter(windows: kept)
    }
    #expect(
      verdicts == [.pass, .pass, .pass, .wait(7, instead: nil), .wait(6, instead: "103"), .pass, .pass])
  }

  @Test func whatWasDroppedIsNamed() {
    let one = DroppedRuns(hook: "h", state: .superseded, units: [("a.service", 1)])
    #expect(one.text.hasPrefix("Hook h: 1 run is superseded, for a.service: the hook says CatchUp=latest"))
    let units = (1...12).map { (name: "a@\($0).service", count: $0 % 2 + 1) }
    let many = DroppedRuns(hook: "h", state: .rateLimited, units: units)
    #expect(many.count == 18)
    #expect(
      many.text.hasPrefix("Hook h: 18 runs are rate-limited, for a@1.service (2), a@2.service, a@3.service (2), "))
    #expect(many.text.contains("a@10.service and 2 other units: there were more events than RateLimitBurst="))
  }
}
