/// A position in a text that is read byte by byte.
struct ByteScanner {
  private(set) var rest: ArraySlice<UInt8>

  init(_ text: ArraySlice<UInt8>) { rest = text }

  var isAtEnd: Bool { rest.isEmpty }
  var peek: UInt8? { rest.first }

  mutating func next() -> UInt8? { rest.popFirst() }

  /// Skips a text if it comes next; returns whether it did.
  mutating func skip(_ text: some Collection<UInt8>) -> Bool {
    guard rest.starts(with: text) else { return false }
    rest = rest.dropFirst(text.count)
    return true
  }

  mutating func skip(_ text: StaticString) -> Bool { skip(Array(text.description.utf8)) }

  /// Skips systemd's white space (space, tab, LF, CR); returns whether there was any.
  @discardableResult
  mutating func skipWhitespace() -> Bool {
    let before = rest.startIndex
    rest = rest.drop(while: \.isSystemdWhitespace)
    return rest.startIndex != before
  }

  /// Skips the digits that come next, and returns them.
  mutating func skipDigits() -> ArraySlice<UInt8> {
    let digits = rest.prefix(while: \.isDigit)
    rest = rest.dropFirst(digits.count)
    return digits
  }

  /// Reads a number as strptime(3) does: any number of spaces, then at most `maxDigits` digits with a value in `range`.
  mutating func number(maxDigits: Int, in range: ClosedRange<Int>) -> Int? {
    let digits = rest.drop { $0 == UInt8(ascii: " ") }.prefix(maxDigits).prefix(while: \.isDigit)
    guard !digits.isEmpty else { return nil }
    let value = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    guard range.contains(value) else { return nil }
    rest = rest[digits.endIndex...]
    return value
  }
}

extension UInt8 {
  var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
  var isLetter: Bool { (self | 0x20) >= UInt8(ascii: "a") && (self | 0x20) <= UInt8(ascii: "z") }
  var isSystemdWhitespace: Bool { self == 0x20 || self == 0x09 || self == 0x0a || self == 0x0d }
  var asciiLowercased: UInt8 { self >= UInt8(ascii: "A") && self <= UInt8(ascii: "Z") ? self | 0x20 : self }
}
