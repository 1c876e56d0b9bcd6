import Glibc
import Synchronization

/// The rules by which a time is read and shown.
enum TimeZoneRules: Equatable {
  case utc
  /// Seconds east of UTC.
  case offset(Int)
  /// The time zone of this process (`TZ`, /etc/localtime); with `isDST` if the text says which of its times it means.
  case local(isDST: Bool?)
  /// A time zone of the system's data base, such as `Europe/Berlin`.
  case named(String)

  /// A local time, and how it differs from UTC.
  struct Local {
    var time: CalendarTime
    /// Seconds east of UTC.
    var offset: Int
    var isDST: Bool
    /// Such as `CET`.
    var abbreviation: String
  }

  /// The seconds from 1970 at which a clock with these rules shows a time; nil before 1970.
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

  /// What a clock with these rules shows.
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
    var fields = unsafe tm()
    unsafe fields.tm_year = Int32(time.year - 1900)
    unsafe fields.tm_mon = Int32(time.month - 1)
    unsafe fields.tm_mday = Int32(time.day)
    unsafe fields.tm_hour = Int32(time.hour)
    unsafe fields.tm_min = Int32(time.minute)
    unsafe fields.tm_sec = Int32(time.second)
    unsafe fields.tm_isdst = isDST.map { $0 ? 1 : 0 } ?? -1
    return unsafe Glibc.mktime(&fields)
  }

  private func localtime(_ seconds: Int) -> Local {
    var fields = unsafe tm()
    var clock = time_t(seconds)
    unsafe localtime_r(&clock, &fields)
    let offset = unsafe fields.tm_gmtoff
    return unsafe Local(
      time: CalendarTime(secondsAsUTC: seconds + offset), offset: offset, isDST: fields.tm_isdst > 0,
      abbreviation: fields.tm_zone.map { unsafe String(cString: $0) } ?? "")
  }

  /// glibc knows one time zone at a time, the one that the environment names; nothing may look while it is another.
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

  /// The time zone that a word at the end of a timestamp names.
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

  /// `+02:00`, `+0200` or `+02`, up to a day.
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

  /// Whether an abbreviation (`CET`, `CEST`) is the local zone's for summer time; nil if it is not the local zone's.
  private static func isDST(abbreviation: String, near now: Int) -> Bool? {
    for month in 0..<13 {
      let local = Self.local(isDST: nil).local(atSeconds: max(0, now - month * 28 * 86400))
      if local.abbreviation == abbreviation { return local.isDST }
    }
    return nil
  }

  /// Whether the system's time zone data base has such a zone: a file that begins as those do.
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
