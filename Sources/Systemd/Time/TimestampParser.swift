internal import CSystemd
internal import Glibc

/// Reads timestamps. The valid texts and their meaning are those of systemd.
struct TimestampParser {
  typealias Failure = TimeSpanParser.Failure

  let now: Timestamp

  /// 30 December 9999, 23:59:59 UTC, in microseconds: the last second whose year has four digits in every time zone.
  private static let latest: UInt64 = 253_402_214_399_000_000

  func parse(_ text: String) throws(Failure) -> Timestamp {
    let bytes = Array(text.utf8)[...]
    // strptime(3) would read only the part before the NUL.
    if bytes.contains(0) { throw .malformed }
    if let relative = try relativeTime(bytes) { return try checked(relative) }

    // A time zone may follow the time without a space (RFC 3339), or be the last word.
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

  /// Reads a date, a time of day or both.
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

  /// Skips the name of a weekday (`Sun`, `Sunday`) and the space after it. Returns the number of the day, 0 for Sunday.
  private static func skipWeekday(_ text: inout ArraySlice<UInt8>) -> Int? {
    var fields = unsafe tm()
    guard let length = unsafe read(text, "%a", into: &fields),
      case let rest = text.dropFirst(length), rest.first == UInt8(ascii: " ")
    else { return nil }
    text = rest.dropFirst()
    return unsafe Int(fields.tm_wday)
  }

  /// The forms of a time with seconds, which a fraction may follow, as formats of strptime(3). These and the following are
  /// systemd's (time-util.c, `parse_timestamp_impl`), in the order in which systemd tries them.
  private static let formsWithSeconds = [
    "%y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%b %d %H:%M:%S",
  ]
  private static let formsWithMinutes = ["%y-%m-%d %H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
  private static let forms =
    formsWithSeconds + formsWithMinutes + ["%y-%m-%d", "%Y-%m-%d", "%H:%M:%S", "%H:%M"]

  /// Reads a date, a time of day or both, and the fraction of the second in microseconds; nil if the text has none of the forms.
  private static func parse(_ text: ArraySlice<UInt8>, today: CalendarTime) -> (CalendarTime, UInt64)? {
    for form in forms {
      // A form with a date leaves out the time of day, and one without a date is about today.
      let start = CalendarTime(year: today.year, month: today.month, day: today.day)
      var fields = unsafe start.fields
      guard let length = unsafe read(text, form, into: &fields) else { continue }
      let rest = text.dropFirst(length)
      if rest.isEmpty { return unsafe (CalendarTime(fields), 0) }
      if form.hasSuffix("%S"), let fraction = fraction(rest) { return unsafe (CalendarTime(fields), fraction) }
    }
    return nil
  }

  /// Reads the start of a text by strptime(3), and returns the number of bytes that were read; nil if the text has another form.
  private static func read(_ text: ArraySlice<UInt8>, _ format: String, into fields: inout tm) -> Int? {
    let text = text.map(CChar.init(bitPattern:)) + [0]
    return unsafe text.withUnsafeBufferPointer { buffer in
      guard let start = buffer.baseAddress, let end = unsafe strptime(start, format, &fields) else { return nil }
      return unsafe UnsafePointer(end) - start
    }
  }

  /// Reads a fraction such as `.25` up to the end of the text, in microseconds; nil for other texts.
  private static func fraction(_ text: ArraySlice<UInt8>) -> UInt64? {
    var scanner = ByteScanner(text)
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
