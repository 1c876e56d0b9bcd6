import Systemd
import Testing

@testable import Systemd

@Suite struct TimeSpanTests {
  static let texts = [
    "5min 20s", "1.5h", "infinity", "1y 12month", "1us", "1µs", "1μs", "1ms", "", " ", "5 min", "5min20s", "5 min 20",
    "1.5", ".5", "5.", "5.s", "-5", "-0", "+5", "1.5.5", "1.5 .5", "1h1", "1M", "1m", "1d", "1D", "1w", "1year",
    "1 month", "1hr", "1minutes", "1msec", "1usec", "1sec", "infinity 5", " infinity ", "5 infinity", "0", "0.0000001",
    "0.1234567s", "1.5us", "1.9999us", "18446744073709551615us", "9223372036854775807us", "9223372036854775808us",
    "18446744073709551616us", "584542y", "584543y", "300000y 300000y", "1e3", "0x10", "010", "5,5s", "1.5y", "abc",
    "5x", "5 minx", "1 .5", "1. 5", "1.5 h", "1.h", "5s-3s", "5s+3s", "5s +3s", "--5", "90s", "3600", "1d 1ms",
    "61.5s", "59.25s", "1.001ms", "1mon", "1months", "1weeks", "1hours", "1h 1h", "1.-5s", "000000000000000000000005s",
    "INFINITY", "5S", "5Min", "1ns", "+infinity", "1.5month", "1.333333333333y", "2m 3M", "150s", "1min 30", "+.5",
    "23h 59min 59.999999s", "999ms", "1000ms", "0.5", "5\ts", "1week 2days",
  ]

  @Test(arguments: texts) func readsAndPrintsWhatSystemdDoes(_ text: String) {
    let real = run(["systemd-analyze", "timespan", "--", text])
    let span = try? TimeSpan(parsing: text)
    #expect((span != nil) == real.succeeded)
    guard let span else { return }
    #expect(String(span.microseconds) == value(of: "μs", in: real.output))
    #expect(span.description == value(of: "Human", in: real.output))
  }

  @Test func printsWithLowerAccuracy() {
    #expect(TimeSpan(microseconds: 5_250_001).description(accuracy: 1000) == "5.250s")
    #expect(TimeSpan(microseconds: 3_605_000_000).description(accuracy: 60_000_000) == "1h")
    #expect(TimeSpan(microseconds: 10).description(accuracy: 1000) == "10us")
  }

  @Test func reportsWhatIsWrong() {
    #expect { try TimeSpan(parsing: "soon") } throws: { "\($0)".hasPrefix("'soon' is not a time span") }
    #expect { try TimeSpan(parsing: "-5") } throws: { "\($0)" == "the time span '-5' is negative or too long" }
  }
}
