/// A point in time, in microseconds since 1970, as in the journal.
public struct Timestamp: Sendable, Hashable {
  /// Microseconds since 1 January 1970, 00:00 UTC.
  public var microseconds: UInt64

  /// Creates a timestamp from microseconds since 1970.
  public init(microseconds: UInt64) {
    self.microseconds = microseconds
  }

  /// Reads a timestamp in the syntax of systemd.time(7), which is also that of journalctl's `--since=`:
  /// `2026-11-22 18:00:05.25`, `18:00`, `yesterday`, `-2h`, `2h 30min ago`, `@1700000000`, with `UTC` or a time zone;
  /// and the forms of RFC 3339.
  ///
  /// - Parameter now: The time on which relative times and times without a date are based.
  public init(parsing text: String, now: Timestamp) throws(TimeSyntaxError) {
    do throws(TimeSpanParser.Failure) {
      self = try TimestampParser(now: now).parse(text)
    } catch {
      throw TimeSyntaxError(kind: error == .malformed ? .timestamp : .timestampOutOfRange, input: text)
    }
  }

  private var seconds: Int { Int(microseconds / 1_000_000) }
  private var fraction: String { padded(Int(microseconds % 1_000_000), 6) }

  /// The time in UTC: `2026-11-22T19:50:14.123456Z`.
  public var iso8601UTC: String {
    let time = CalendarTime(secondsAsUTC: seconds)
    guard (0...9999).contains(time.year) else { return dateAndTime(time) + ".\(fraction)Z" }
    // This is needed for every event. So the digits are written directly, without a string for each part.
    return unsafe String(unsafeUninitializedCapacity: 27) { text in
      var end = 0
      func add(_ number: Int, _ width: Int, _ mark: UInt8) {
        var number = number
        end += width
        for digit in 1...width {
          unsafe text[end - digit] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10)
          number /= 10
        }
        unsafe text[end] = mark
        end += 1
      }
      add(time.year, 4, UInt8(ascii: "-"))
      add(time.month, 2, UInt8(ascii: "-"))
      add(time.day, 2, UInt8(ascii: "T"))
      add(time.hour, 2, UInt8(ascii: ":"))
      add(time.minute, 2, UInt8(ascii: ":"))
      add(time.second, 2, UInt8(ascii: "."))
      add(Int(microseconds % 1_000_000), 6, UInt8(ascii: "Z"))
      return end
    }
  }

  /// The time in this process's time zone: `2026-11-22T20:50:14.123456+01:00`.
  public var rfc3339Local: String {
    let local = TimeZoneRules.local(isDST: nil).local(atSeconds: seconds)
    let minutes = abs(local.offset) / 60
    let sign = local.offset < 0 ? "-" : "+"
    return dateAndTime(local.time) + ".\(fraction)\(sign)\(padded(minutes / 60, 2)):\(padded(minutes % 60, 2))"
  }

  /// The time in this process's time zone as `journalctl` shows it: `Nov 22 19:50:14`.
  public var shortLocal: String {
    let time = TimeZoneRules.local(isDST: nil).local(atSeconds: seconds).time
    return "\(Self.monthNames[time.month - 1]) \(padded(time.day, 2)) \(timeOfDay(time))"
  }

  /// The time in this process's time zone as `journalctl -o short-precise` shows it: `Nov 22 19:50:14.123456`.
  public var shortPreciseLocal: String { "\(shortLocal).\(fraction)" }

  private static let monthNames = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  private func dateAndTime(_ time: CalendarTime) -> String {
    "\(padded(time.year, 4))-\(padded(time.month, 2))-\(padded(time.day, 2))T\(timeOfDay(time))"
  }

  private func timeOfDay(_ time: CalendarTime) -> String {
    "\(padded(time.hour, 2)):\(padded(time.minute, 2)):\(padded(time.second, 2))"
  }

  private func padded(_ number: Int, _ width: Int) -> String {
    guard number >= 0, String(number).utf8.count < width else { return String(number) }
    // Such a short string needs no allocation.
    return unsafe String(unsafeUninitializedCapacity: width) { text in
      var rest = number
      for index in (0..<width).reversed() {
        unsafe text[index] = UInt8(ascii: "0") + UInt8(rest % 10)
        rest /= 10
      }
      return width
    }
  }
}

extension Timestamp: Comparable {
  /// Whether the first time is earlier.
  public static func < (first: Timestamp, second: Timestamp) -> Bool { first.microseconds < second.microseconds }
}

extension Timestamp: CustomStringConvertible {
  /// The time in UTC.
  public var description: String { iso8601UTC }
}
