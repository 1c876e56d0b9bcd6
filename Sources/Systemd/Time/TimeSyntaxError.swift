/// Why a text is not a valid time span or timestamp.
public struct TimeSyntaxError: Error, Hashable, CustomStringConvertible {
  enum Kind { case span, spanOutOfRange, timestamp, timestampOutOfRange }
  let kind: Kind

  /// The text that could not be read.
  public let input: String

  /// What is wrong, for people.
  public var description: String {
    switch kind {
    case .span: "'\(input)' is not a time span (like '30s', '5min 20s' or 'infinity')"
    case .spanOutOfRange: "the time span '\(input)' is negative or too long"
    case .timestamp: "'\(input)' is not a time (like '2026-11-22 18:00:05', '18:00', 'yesterday' or '-2h')"
    case .timestampOutOfRange: "the time '\(input)' is before 1970 or too far in the future"
    }
  }
}
