/// The bytes of one input, from which choices and texts are taken. Behind its end all is zero and empty.
struct FuzzInput {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }
  var bytes: [UInt8] { Array(rest) }
  var text: String { String(decoding: rest, as: UTF8.self) }

  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func number(below limit: Int) -> Int { Int(byte()) % limit }

  mutating func flag() -> Bool { byte() & 1 != 0 }

  /// Up to 8 bytes as a number.
  mutating func number() -> UInt64 { take(number(below: 9)).reduce(0) { $0 << 8 | UInt64($1) } }

  /// So many bytes, or what is left.
  mutating func take(_ count: Int) -> ArraySlice<UInt8> {
    let taken = rest.prefix(count)
    rest = rest.dropFirst(count)
    return taken
  }

  /// What stands before the next byte of that value, which is passed over.
  mutating func part(before end: UInt8) -> [UInt8] {
    let part = rest.prefix { $0 != end }
    rest = rest[part.endIndex...].dropFirst()
    return Array(part)
  }

  /// One of those that are known, or any text.
  mutating func choice(_ known: [String]) -> String {
    let index = number(below: known.count + 1)
    if index < known.count { return known[index] }
    return String(decoding: part(before: 0), as: UTF8.self)
  }

  /// The same, or none.
  mutating func optionalChoice(_ known: [String]) -> String? { flag() ? choice(known) : nil }
}
