/// Reads timestamps; which texts are valid, and what they mean, is as in systemd.
struct TimestampParser {
  typealias Failure = TimeSpanParser.Failure

  let now: Timestamp

  /// 30 December 9999, 23:59:59 UTC: the last second that has four digits for its year in every time zone.
  private static let latest: UInt64 = 253_402_214_399_000_000

  func parse(_ text: String) throws(Failure) -> Timestamp {
    let bytes = Array(text.utf8)[...]
    if let relative = try relativeTime(bytes) { return try checked(relative) }

    // A zone may be welded to the time (RFC 3339), or be its last word.
    if bytes.last == UInt8(ascii: "Z"), bytes.count > 2,
      let time = try? calendarTime(bytes.dropLast(), .utc)
    {
      return time
    }
    if bytes.count > 7, bytes[bytes.endIndex - 7] != UInt8(ascii: " "),
      let offset = TimeZoneRules.offset(bytes.suffix(6))
    {
      return try calendarTime(bytes.dropLast(6), .offset(offset))
    }
    if let space = bytes.lastIndex(of: UInt8(ascii: " ")), space > 0,
      let zone = TimeZoneRules(String(decoding: bytes[(space + 1)...], as: UTF8.self), now: nowSeconds)
    {
      return try calendarTime(bytes[..<space], zone)
    }
    return try calendarTime(bytes, .local(isDST: nil))
  }

  private var nowSeconds: Int { Int(now.microseconds / 1_000_000) }

  private func checked(_ microseconds: UInt64) throws(Failure) -> Timestamp {
    guard microseconds <= Self.latest else { throw .outOfRange }
    return Timestamp(microseconds: microseconds)
  }

  /// `now`, `@SECONDS`, `+SPAN`, `-SPAN`, `SPAN ago`, `SPAN left`; nil if it is none of these.
  private func relativeTime(_ text: ArraySlice<UInt8>) throws(Failure) -> UInt64? {
    if text.elementsEqual("now".utf8) { return now.microseconds }
    switch text.first {
    case UInt8(ascii: "@"): return try TimeSpanParser.parse(text.dropFirst())
    case UInt8(ascii: "+"): return try later(by: text.dropFirst())
    case UInt8(ascii: "-"): return try earlier(by: text.dropFirst())
    default: break
    }
    if text.suffix(4).elementsEqual(" ago".utf8) { return try earlier(by: text.dropLast(4)) }
    if text.suffix(5).elementsEqual(" left".utf8) { return try later(by: text.dropLast(5)) }
    return nil
  }

  private func later(by span: ArraySlice<UInt8>) throws(Failure) -> UInt64 {
    let (sum, overflow) = now.microseconds.addingReportingOverflow(try TimeSpanParser.parse(span))
    guard !overflow else { throw .outOfRange }
    return sum
  }

  private func earlier(by span: ArraySlice<UInt8>) throws(Failure) -> UInt64 {
    let (difference, overflow) = now.microseconds.subtractingReportingOverflow(try TimeSpanParser.parse(span))
    guard !overflow else { throw .outOfRange }
    return difference
  }

  /// A date, a time of day or both.
  private func calendarTime(_ text: ArraySlice<UInt8>, _ zone: TimeZoneRules) throws(Failure) -> Timestamp {
    var time = zone.local(atSeconds: nowSeconds).time
    var fraction: UInt64 = 0
    if let days = ["yesterday": -1, "today": 0, "tomorrow": 1][String(decoding: text, as: UTF8.self)] {
      time = CalendarTime(year: time.year, month: time.month, day: time.day + days)
    } else {
      var text = text
      let weekday = Self.skipWeekday(&text)
      guard let parsed = Self.parse(text, today: time) else { throw .malformed }
      (time, fraction) = parsed
      if let weekday, weekday != time.weekday { throw .malformed }
    }
    guard let seconds = zone.seconds(of: time) else { throw .outOfRange }
    return try checked(UInt64(seconds) * 1_000_000 + fraction)
  }

  /// Skips the name of a weekday (`Sun`, `Sunday`) and the blank behind it; Sunday is 0.
  private static func skipWeekday(_ text: inout ArraySlice<UInt8>) -> Int? {
    guard let space = text.firstIndex(of: UInt8(ascii: " ")) else { return nil }
    let word = text[..<space].map(\.asciiLowercased)
    for (number, name) in CalendarTime.weekdayNames.enumerated() {
      let name = name.utf8.map(\.asciiLowercased)
      if word == name || word == Array(name.prefix(3)) {
        text = text[(space + 1)...]
        return number
      }
    }
    return nil
  }

  /// The forms of a date and of a time of day, in the order in which systemd tries them.
  private static func parse(_ text: ArraySlice<UInt8>, today: CalendarTime) -> (CalendarTime, UInt64)? {
    let dates: [(inout ByteScanner) -> (year: Int, month: Int, day: Int)?] = [
      { Self.date(&$0, yearDigits: 2) },
      { Self.date(&$0, yearDigits: 4) },
      { Self.monthAndDay(&$0).map { (today.year, $0.month, $0.day) } },
    ]
    for (form, date) in dates.enumerated() {
      var scanner = ByteScanner(text)
      guard let (year, month, day) = date(&scanner) else { continue }
      var time = CalendarTime(year: year, month: month, day: day)
      let isShort = form == 2
      if scanner.isAtEnd, !isShort { return (time, 0) }
      if form != 1 || !scanner.skip("T") { scanner.skipWhitespace() }
      if let fraction = timeOfDay(&scanner, into: &time, needsSeconds: isShort) { return (time, fraction) }
    }
    var scanner = ByteScanner(text)
    var time = today
    return timeOfDay(&scanner, into: &time, needsSeconds: false).map { (time, $0) }
  }

  private static func date(_ scanner: inout ByteScanner, yearDigits: Int) -> (year: Int, month: Int, day: Int)? {
    guard var year = scanner.number(maxDigits: yearDigits, in: 0...9999), scanner.skip("-"),
      let month = scanner.number(maxDigits: 2, in: 1...12), scanner.skip("-"),
      let day = scanner.number(maxDigits: 2, in: 1...31)
    else { return nil }
    if yearDigits == 2 { year += year < 69 ? 2000 : 1900 }
    return (year, month, day)
  }

  /// `Nov 22`, as `journalctl` shows it.
  private static func monthAndDay(_ scanner: inout ByteScanner) -> (month: Int, day: Int)? {
    let word = scanner.rest.prefix(while: \.isLetter)
    let name = word.map(\.asciiLowercased)
    let month = CalendarTime.monthNames.firstIndex {
      let full = $0.utf8.map(\.asciiLowercased)
      return name == full || name == Array(full.prefix(3))
    }
    guard let month, scanner.skip(word) else { return nil }
    scanner.skipWhitespace()
    return scanner.number(maxDigits: 2, in: 1...31).map { (month + 1, $0) }
  }

  /// `18:00`, `18:00:05`, `18:00:05.25`, up to the end of the text; returns the fraction in microseconds.
  private static func timeOfDay(
    _ scanner: inout ByteScanner, into time: inout CalendarTime, needsSeconds: Bool
  ) -> UInt64? {
    guard let hour = scanner.number(maxDigits: 2, in: 0...23), scanner.skip(":"),
      let minute = scanner.number(maxDigits: 2, in: 0...59)
    else { return nil }
    (time.hour, time.minute, time.second) = (hour, minute, 0)
    if scanner.isAtEnd { return needsSeconds ? nil : 0 }
    guard scanner.skip(":"), let second = scanner.number(maxDigits: 2, in: 0...61) else { return nil }
    time.second = second
    if scanner.isAtEnd { return 0 }
    guard scanner.skip(".") else { return nil }
    let digits = scanner.skipDigits()
    guard !digits.isEmpty, scanner.isAtEnd else { return nil }
    var fraction: UInt64 = 0
    for place in 0..<6 {
      let digit = place < digits.count ? digits[digits.startIndex + place] - UInt8(ascii: "0") : 0
      fraction = fraction * 10 + UInt64(digit)
    }
    // systemd rounds to microseconds by the seventh digit.
    if digits.count > 6, digits[digits.startIndex + 6] >= UInt8(ascii: "5") { fraction += 1 }
    return fraction
  }
}
