/// A length of time in the syntax of systemd.time(7): `5min 20s`, `1.5h`, `infinity`.
public struct TimeSpan: Sendable, Hashable {
  /// The length in microseconds; `UInt64.max` stands for `infinity`.
  public var microseconds: UInt64

  /// Creates a time span from microseconds.
  public init(microseconds: UInt64) {
    self.microseconds = microseconds
  }

  /// A length of 0.
  public static let zero = TimeSpan(microseconds: 0)

  /// The time span that is longer than every other.
  public static let infinity = TimeSpan(microseconds: .max)

  /// A number of milliseconds.
  public static func milliseconds(_ count: UInt64) -> TimeSpan { TimeSpan(microseconds: count * 1000) }

  /// A number of seconds.
  public static func seconds(_ count: UInt64) -> TimeSpan { TimeSpan(microseconds: count * 1_000_000) }

  /// A number of minutes.
  public static func minutes(_ count: UInt64) -> TimeSpan { .seconds(count * 60) }

  /// Whether this is `infinity`.
  public var isInfinite: Bool { self == .infinity }

  /// Reads a time span in the syntax of systemd.time(7). A number without a unit is a number of seconds.
  public init(parsing text: String) throws(TimeSyntaxError) {
    do throws(TimeSpanParser.Failure) {
      self.init(microseconds: try TimeSpanParser.parse(Array(text.utf8)[...]))
    } catch {
      throw TimeSyntaxError(kind: error == .malformed ? .span : .spanOutOfRange, input: text)
    }
  }
}

extension TimeSpan: Comparable {
  /// Whether the first time span is shorter.
  public static func < (first: TimeSpan, second: TimeSpan) -> Bool { first.microseconds < second.microseconds }
}

extension TimeSpan: CustomStringConvertible {
  /// The time span as systemd prints it, which is also a valid time span: `2min 30s`.
  public var description: String { description(accuracy: 1) }

  /// The time span as systemd prints it, down to units of `accuracy` microseconds, a power of ten.
  public func description(accuracy: UInt64) -> String {
    if isInfinite { return "infinity" }
    if microseconds == 0 { return "0" }
    var words: [String] = []
    var rest = microseconds
    for unit in TimeUnit.printed {
      if rest == 0 || (rest < accuracy && !words.isEmpty) { break }
      if rest < unit.microseconds { continue }
      let whole = rest / unit.microseconds
      rest %= unit.microseconds
      // In a unit below a minute, the rest becomes a decimal fraction, and smaller units are not used.
      if whole * unit.microseconds < TimeUnit.minute, rest > 0 {
        var digits = decimalDigits(unit.microseconds) - decimalDigits(accuracy)
        if digits > 0 {
          let fraction = String(rest / accuracy)
          digits -= fraction.utf8.count
          words.append("\(whole).\(String(repeating: "0", count: digits))\(fraction)\(unit.name)")
          break
        }
      }
      words.append("\(whole)\(unit.name)")
    }
    return words.joined(separator: " ")
  }

  private func decimalDigits(_ powerOfTen: UInt64) -> Int { String(powerOfTen).utf8.count - 1 }
}

/// The units of time spans, in microseconds.
enum TimeUnit {
  static let second: UInt64 = 1_000_000
  static let minute = 60 * second
  static let hour = 60 * minute
  static let day = 24 * hour
  static let week = 7 * day
  /// A twelfth of a year, as systemd counts it.
  static let month = year / 12
  /// 365.25 days, as systemd counts it.
  static let year = 31_557_600 * second

  /// The units in which time spans are printed, longest first.
  static let printed: [(name: String, microseconds: UInt64)] = [
    ("y", year), ("month", month), ("w", week), ("d", day), ("h", hour), ("min", minute), ("s", second),
    ("ms", 1000), ("us", 1),
  ]

  /// All names of units. A name comes before those that are a beginning of it.
  static let names: [(name: [UInt8], microseconds: UInt64)] =
    [
      ("seconds", second), ("second", second), ("sec", second), ("s", second),
      ("minutes", minute), ("minute", minute), ("min", minute),
      ("months", month), ("month", month), ("M", month), ("msec", 1000), ("ms", 1000), ("m", minute),
      ("hours", hour), ("hour", hour), ("hr", hour), ("h", hour),
      ("days", day), ("day", day), ("d", day), ("weeks", week), ("week", week), ("w", week),
      ("years", year), ("year", year), ("y", year),
      ("usec", 1), ("us", 1), ("\u{3bc}s", 1), ("\u{b5}s", 1),
    ].map { (name: Array($0.0.utf8), microseconds: $0.1) }
}

/// Reads time spans. The steps and their order are those of systemd's time-util.c, so that exactly the same texts are valid.
enum TimeSpanParser {
  enum Failure: Error { case malformed, outOfRange }

  static func parse(_ text: ArraySlice<UInt8>) throws(Failure) -> UInt64 {
    var scanner = ByteScanner(text)
    scanner.skipWhitespace()
    if scanner.skip("infinity") {
      scanner.skipWhitespace()
      guard scanner.isAtEnd else { throw .malformed }
      return .max
    }
    var total: UInt64 = 0
    var hasTerm = false
    while true {
      scanner.skipWhitespace()
      if scanner.isAtEnd { break }
      total = try sum(total, try term(&scanner))
      hasTerm = true
    }
    guard hasTerm else { throw .malformed }
    return total
  }

  /// Reads one number and its unit.
  private static func term(_ scanner: inout ByteScanner) throws(Failure) -> UInt64 {
    if scanner.peek == UInt8(ascii: "-") { throw .outOfRange }
    let isSigned = scanner.skip("+")
    let integer = scanner.skipDigits()
    var fraction: ArraySlice<UInt8>?
    if integer.isEmpty, isSigned || scanner.peek != UInt8(ascii: ".") { throw .malformed }
    if scanner.skip(".") {
      let digits = scanner.skipDigits()
      if digits.isEmpty { throw .malformed }
      fraction = digits
    }
    var whole: UInt64 = 0
    for digit in integer {
      let value = UInt64(digit - UInt8(ascii: "0"))
      // The limit is that of a signed number, because systemd reads one.
      if whole > (UInt64(Int64.max) - value) / 10 { throw .outOfRange }
      whole = whole * 10 + value
    }

    let isSeparated = scanner.skipWhitespace()
    let unit = TimeUnit.names.first { scanner.skip($0.name) }?.microseconds
    // `1.2 .3` is a time span, and `1.2.3` is not.
    if unit == nil, !isSeparated, !scanner.isAtEnd { throw .malformed }
    let multiplier = unit ?? TimeUnit.second
    if whole >= UInt64.max / multiplier { throw .outOfRange }
    var result = whole * multiplier
    var place = multiplier / 10
    for digit in fraction ?? [] {
      result = try sum(result, UInt64(digit - UInt8(ascii: "0")) * place)
      place /= 10
    }
    return result
  }

  private static func sum(_ first: UInt64, _ second: UInt64) throws(Failure) -> UInt64 {
    let (sum, overflow) = first.addingReportingOverflow(second)
    if overflow || sum == .max { throw .outOfRange }
    return sum
  }
}
