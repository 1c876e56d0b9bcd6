import Glibc
import Systemd
import Testing

@testable import Systemd

// The tests are serialized because some of them change the time zone of this process.
@Suite(.serialized) struct TimestampTests {
  /// Valid and invalid texts. systemd-analyze decides which are valid.
  static let texts = [
    "2026-11-22 18:00:05.25", "26-11-22", "2026-1-2", "  2026-11-22", "2026-11-22 ", "18:00", "18:0", "1:2", "18:60",
    "24:00", "18:00:60", "18:00:61", "18:00:62", "Sat 2026-11-22", "Sun 2026-11-22", "SUN 2026-11-22",
    "Sunday 2026-11-22", "Sund 2026-11-22", "yesterday", "today", "tomorrow", "yesterday UTC", "now UTC", "@1 UTC",
    "@1700000000.5", "@1700000000", "@0", "@-1", "@", "@1min", "2026-11-22  18:00", "2026-11-2218:00", "Today",
    "Mon today", "NOW", "+5min UTC", "5min ago ago", "2026-11-22 18:00:05.1234567", "2026-11-22 18:00:05.1234564999",
    "2026-11-22 18:00:05.9999999", "2026-11-22 18:00:05.", "2026-11-22 18:00:05.12x", "2026-02-31", "2026-02-30 01:00",
    "2024-02-29", "Thu 2024-02-29 12:00", "-99999999999", "", " ", "infinity", "1969-12-31", "1970-01-02",
    "9999-12-30 23:59:59 UTC", "9999-12-31 23:59:59 UTC", "10000-01-01", "@1700000000000000us", "@18446744073709",
    "Nov 22 18:00:00", "Nov 22 18:00:05.123", "november 2 18:00:05", "Nov 22 18:00", "Nov 22", "Nox 22 18:00:00",
    "68-01-01", "69-01-02", "70-01-02", "99-01-01", "5-1-2", "infinity ago", "+infinity", "-infinity", "2026-13-01",
    "2026-00-01", "2026-1-00", "2026-1-32", "2026-11-22 utc", "2026-11-22 18:00 UTC", "12026-11-22", "2026-11-222",
    "00002026-11-22", "+2026-11-22", "2026-11-22\t18:00", "22:33 ago", "ago", " ago", " left", "22:5:6.25 UTC",
    "@5 ago", "2026-11-22 18", "2026-11", "2026", "18", "18:00:", ":00", "2026/11/22", "soon",
    "2026-11-22 18:00 Nowhere",
    "2026-11-22 18:00 europe/berlin", "Tue Sun 2026-11-22", "2026-03-29 02:30:00", "2026-10-25 02:30:00", "2026-07-01",
    "2026-07-01 12:00 CEST", "2026-11-22 CEST", "today UTC", "tomorrow UTC", "18:00 UTC",
  ]

  @Test(arguments: texts, ["UTC", "Europe/Berlin", "America/New_York"])
  func readsWhatSystemdReads(_ text: String, _ zone: String) throws {
    let now = Timestamp(microseconds: UInt64(time(nil)) * 1_000_000)
    let mine = inZone(zone) { try? Timestamp(parsing: text, now: now) }
    let real = run(["systemd-analyze", "timestamp", "--", text], timeZone: zone)
    #expect((mine != nil) == real.succeeded)
    guard let mine, let seconds = value(of: "UNIX seconds", in: real.output) else { return }
    #expect(mine == (try Timestamp(parsing: seconds, now: now)))
  }

  @Test(arguments: [
    "now", "+5", "- 5", "-2h", "+5min", "+2y", "-0", "5min  ago", "2h 30min ago", "3h left", "5min 22  left",
    "1.5h ago",
    "-1h 30min", "+ 1d",
  ])
  func readsRelativeTimesAsSystemdDoes(_ text: String) throws {
    let now = Timestamp(microseconds: UInt64(time(nil)) * 1_000_000)
    let mine = try Timestamp(parsing: text, now: now)
    let real = run(["systemd-analyze", "timestamp", "--", text])
    let theirs = try Timestamp(parsing: try #require(value(of: "UNIX seconds", in: real.output)), now: now)
    #expect(max(mine, theirs).microseconds - min(mine, theirs).microseconds < 10_000_000)
  }

  /// The time on which the following tests are based, a Sunday.
  static let now = "2026-11-22T19:50:14.123456Z"

  /// Texts for which systemd-analyze 252 cannot be used: those relative to the current time, and those that only newer versions
  /// read.
  @Test(arguments: [
    ("now", "2026-11-22T19:50:14.123456Z"),
    ("-2h", "2026-11-22T17:50:14.123456Z"),
    ("2h 30min ago", "2026-11-22T17:20:14.123456Z"),
    ("3h left", "2026-11-22T22:50:14.123456Z"),
    ("today", "2026-11-21T23:00:00.000000Z"),
    ("yesterday", "2026-11-20T23:00:00.000000Z"),
    ("tomorrow", "2026-11-22T23:00:00.000000Z"),
    ("tomorrow America/New_York", "2026-11-23T05:00:00.000000Z"),
    ("18:00", "2026-11-22T17:00:00.000000Z"),
    ("Sun 18:00", "2026-11-22T17:00:00.000000Z"),
    ("18:00 Asia/Tokyo", "2026-11-23T09:00:00.000000Z"),
    ("2026-11-22 18:00:05.25 Europe/London", "2026-11-22T18:00:05.250000Z"),
    ("2026-07-22 12:00 Europe/London", "2026-07-22T11:00:00.000000Z"),
    ("2026-07-22 Asia/Kolkata", "2026-07-21T18:30:00.000000Z"),
    ("2026-07-22 12:00 EST5EDT", "2026-07-22T16:00:00.000000Z"),
    ("2026-11-22 12:00 CET", "2026-11-22T11:00:00.000000Z"),
    ("2026-07-22 12:00 CEST", "2026-07-22T10:00:00.000000Z"),
    ("2026-11-22T18:00:05Z", "2026-11-22T18:00:05.000000Z"),
    ("2026-11-22T18:00:05.5+02:00", "2026-11-22T16:00:05.500000Z"),
    ("2026-11-22T18:00:05-08:00", "2026-11-23T02:00:05.000000Z"),
    ("2026-11-22 18:00:05 +02:00", "2026-11-22T16:00:05.000000Z"),
    ("2026-11-22 18:00:05 +0530", "2026-11-22T12:30:05.000000Z"),
    ("2026-11-22 18:00:05 -03", "2026-11-22T21:00:05.000000Z"),
    ("2026-11-22T18:00:05", "2026-11-22T17:00:05.000000Z"),
    ("2026-11-22T18:00", "2026-11-22T17:00:00.000000Z"),
    ("1969-12-31 23:00:00 -06", "1970-01-01T05:00:00.000000Z"),
  ])
  func readsWhatNewerVersionsRead(_ text: String, _ expected: String) throws {
    let now = try Timestamp(parsing: Self.now, now: Timestamp(microseconds: 0))
    let time = try inZone("Europe/Berlin") { try Timestamp(parsing: text, now: now) }
    #expect(time.iso8601UTC == expected)
  }

  @Test(arguments: [
    "2026-11-22T18:00:05+25:00", "now Z", "nowZ", "Z", "18:00 +2", "18:00 ../etc/passwd", "2026-11-22 18:00 Europe/",
    "2026-11-22 18:00 Europe", "2026-11-22T18:00:05ZZ", "-2h Europe/Berlin", "2026-11-22  T18:00",
  ])
  func refusesWhatNewerVersionsRefuse(_ text: String) {
    #expect(throws: TimeSyntaxError.self) { try Timestamp(parsing: text, now: Timestamp(microseconds: 1)) }
  }

  @Test func leavesTheTimeZoneAsItWas() throws {
    setenv("TZ", "Asia/Tokyo", 1)
    defer { unsetenv("TZ") }
    _ = try Timestamp(parsing: "18:00 Europe/Berlin", now: Timestamp(microseconds: 0))
    #expect(getenv("TZ").map { String(cString: $0) } == "Asia/Tokyo")
    #expect(Timestamp(microseconds: 0).shortLocal == "Jan 01 09:00:00")
  }

  @Test func prints() throws {
    let time = try Timestamp(parsing: Self.now, now: Timestamp(microseconds: 0))
    #expect(time.microseconds == 1_795_377_014_123_456)
    #expect(time.iso8601UTC == Self.now)
    #expect(inZone("Europe/Berlin") { time.rfc3339Local } == "2026-11-22T20:50:14.123456+01:00")
    #expect(inZone("America/St_Johns") { time.rfc3339Local } == "2026-11-22T16:20:14.123456-03:30")
    #expect(inZone("Europe/Berlin") { time.shortLocal } == "Nov 22 20:50:14")
    #expect(inZone("Europe/Berlin") { time.shortPreciseLocal } == "Nov 22 20:50:14.123456")
    #expect(Timestamp(microseconds: 5).iso8601UTC == "1970-01-01T00:00:00.000005Z")
  }

  @Test func countsDaysAsGlibcDoes() {
    for day in stride(from: 0, to: 3_000_000, by: 97) {
      var seconds = time_t(day) * 86400 + 12345
      var fields = tm()
      gmtime_r(&seconds, &fields)
      let expected = "\(fields.tm_year + 1900)-\(fields.tm_mon + 1)-\(fields.tm_mday)"
      let parts = Timestamp(microseconds: UInt64(seconds) * 1_000_000).iso8601UTC.prefix { $0 != "T" }.split(
        separator: "-")
      #expect(parts.compactMap { Int($0) }.map(String.init).joined(separator: "-") == expected)
    }
  }

  private func inZone<Result>(_ zone: String, _ body: () throws -> Result) rethrows -> Result {
    setenv("TZ", zone, 1)
    defer { unsetenv("TZ") }
    return try body()
  }
}
