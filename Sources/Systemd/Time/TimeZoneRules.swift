import Glibc
import Synchronization

/// A time zone: the difference between local times and UTC.
enum TimeZoneRules: Equatable {
  case utc
  /// Seconds east of UTC.
  case offset(Int)
  /// The time zone of this process (`TZ`, /etc/localtime). `isDST` is whether the text names daylight saving time; nil if
  /// it does not say.
  case local(isDST: Bool?)
  /// A time zone in the system's database, such as `Europe/Berlin`.
  case named(String)

  /// A local time and its difference from UTC.
  struct Local {
    var time: CalendarTime
    /// Seconds east of UTC.
    var offset: Int
    var isDST: Bool
    /// The abbreviation of the time zone, such as `CET`.
    var abbreviation: String
  }

  /// The seconds since 1970 of a time in this zone; nil for a time before 1970.
  func seconds(of time: CalendarTime) -> Int? {
    let seconds: Int
    switch self {
    case .utc: seconds = time.secondsAsUTC
    case .offset(let offset): seconds = time.secondsAsUTC - offset
    case .local(let isDST): seconds = Self.withZone(nil) { mktime(time, isDST: isDST) }
    case .named(let name): seconds = Self.withZone(name) { mktime(time, isDST: nil) }
    }
    return seconds >= 0 ? seconds : nil
  }

  /// The time in this zone that is `seconds` seconds after 1970.
  func local(atSeconds seconds: Int) -> Local {
    switch self {
    case .utc:
      Local(time: CalendarTime(secondsAsUTC: seconds), offset: 0, isDST: false, abbreviation: "UTC")
    case .offset(let offset):
      Local(time: CalendarTime(secondsAsUTC: seconds + offset), offset: offset, isDST: false, abbreviation: "")
    case .local: Self.withZone(nil) { localtime(seconds) }
    case .named(let name): Self.withZone(name) { localtime(seconds) }
    }
  }

  private func mktime(_ time: CalendarTime, isDST: Bool?) -> Int {
    var fields = unsafe time.fields
    if let isDST { unsafe fields.tm_isdst = isDST ? 1 : 0 }
    return unsafe Glibc.mktime(&fields)
  }

  private func localtime(_ seconds: Int) -> Local {
    var fields = unsafe tm()
    var clock = time_t(seconds)
    unsafe localtime_r(&clock, &fields)
    return unsafe Local(
      time: CalendarTime(fields), offset: fields.tm_gmtoff, isDST: fields.tm_isdst > 0,
      abbreviation: fields.tm_zone.map { unsafe String(cString: $0) } ?? "")
  }

  /// glibc has one time zone at a time, that of the variable `TZ`. The lock keeps others from using it while it is changed.
  private static let lock = Mutex<Void>(())

  private static func withZone<Result>(_ name: String?, _ body: () -> sending Result) -> sending Result {
    lock.withLock { _ in
      guard let name else {
        tzset()
        return body()
      }
      let saved = unsafe getenv("TZ").map { unsafe String(cString: $0) }
      unsafe setenv("TZ", ":" + name, 1)
      tzset()
      defer {
        if let saved { unsafe setenv("TZ", saved, 1) } else { unsafe unsetenv("TZ") }
        tzset()
      }
      return body()
    }
  }

  /// The time zone that the last word of a timestamp names; nil if the word is not a time zone.
  init?(_ word: String, now: Int) {
    if word.utf8.elementsEqual("UTC".utf8, by: { $0.asciiLowercased == $1.asciiLowercased }) {
      self = .utc
    } else if let offset = Self.offset(Array(word.utf8)[...]) {
      self = .offset(offset)
    } else if Self.isInDatabase(word) {
      self = .named(word)
    } else if let isDST = Self.isDST(abbreviation: word, near: now) {
      self = .local(isDST: isDST)
    } else {
      return nil
    }
  }

  /// The seconds of a difference from UTC such as `+02:00`, `+0200` or `+02`, up to one day; nil for other texts.
  static func offset(_ text: ArraySlice<UInt8>) -> Int? {
    var scanner = ByteScanner(text)
    let isWest = scanner.skip("-")
    guard isWest || scanner.skip("+"), scanner.rest.prefix(while: \.isDigit).count >= 2,
      let hours = scanner.number(maxDigits: 2, in: 0...24)
    else { return nil }
    var seconds = hours * 3600
    if !scanner.isAtEnd {
      _ = scanner.skip(":")
      guard scanner.rest.count == 2, scanner.rest.allSatisfy(\.isDigit),
        let minutes = scanner.number(maxDigits: 2, in: 0...59)
      else { return nil }
      seconds += minutes * 60
    }
    guard seconds <= 86400 else { return nil }
    return isWest ? -seconds : seconds
  }

  /// Whether an abbreviation of the local time zone (`CET`, `CEST`) stands for daylight saving time; nil if it is not an
  /// abbreviation of the local time zone.
  private static func isDST(abbreviation: String, near now: Int) -> Bool? {
    for month in 0..<13 {
      let local = Self.local(isDST: nil).local(atSeconds: max(0, now - month * 28 * 86400))
      if local.abbreviation == abbreviation { return local.isDST }
    }
    return nil
  }

  /// Whether the system's time zone database has a zone of this name, that is a file that begins as in tzfile(5).
  private static func isInDatabase(_ name: String) -> Bool {
    let isAcceptable = name.utf8.allSatisfy { $0.isLetter || $0.isDigit || "-_+/".utf8.contains($0) }
    guard isAcceptable, let first = name.utf8.first, first.isLetter, name.utf8.last != UInt8(ascii: "/"),
      let file = unsafe fopen("/usr/share/zoneinfo/" + name, "re")
    else { return false }
    defer { unsafe fclose(file) }
    var magic = [UInt8](repeating: 0, count: 4)
    return unsafe fread(&magic, 1, 4, file) == 4 && magic == Array("TZif".utf8)
  }
}
