/// A pattern of glob(7): `*`, `?`, `[a-z]`, `[!a-z]`.
///
/// As in systemd, a backslash stands for itself: unit names contain some.
package struct Glob: Sendable, Hashable {
  private enum Element: Hashable {
    case byte(UInt8)
    case anyByte
    case anyText
    case oneOf([ClosedRange<UInt8>], negated: Bool)
  }

  /// The pattern as it was written.
  package let pattern: String
  private let elements: [Element]
  private let ignoresCase: Bool

  package init(_ pattern: String, ignoringCase: Bool = false) {
    self.pattern = pattern
    ignoresCase = ignoringCase
    elements = Self.parse(Array(ignoringCase ? pattern.lowercased().utf8 : pattern.utf8))
  }

  /// Whether a text is a pattern rather than a name.
  package static func isPattern(_ text: String) -> Bool { text.utf8.contains { "*?[".utf8.contains($0) } }

  package func matches(_ text: String) -> Bool {
    let text = Array(ignoresCase ? text.lowercased().utf8 : text.utf8)
    var (element, byte) = (0, 0)
    // Only the last `*` can have to take more: what stands before it has found its earliest place. So no time explodes.
    var star: (element: Int, byte: Int)?
    while byte < text.count {
      if element < elements.count, elements[element] == .anyText {
        star = (element, byte)
        element += 1
      } else if element < elements.count, Self.matches(elements[element], text[byte]) {
        element += 1
        byte += 1
      } else if let last = star {
        star = (last.element, last.byte + 1)
        (element, byte) = (last.element + 1, last.byte + 1)
      } else {
        return false
      }
    }
    return elements[element...].allSatisfy { $0 == .anyText }
  }

  private static func matches(_ element: Element, _ byte: UInt8) -> Bool {
    switch element {
    case .byte(let wanted): wanted == byte
    case .anyByte: true
    case .oneOf(let ranges, let negated): ranges.contains { $0.contains(byte) } != negated
    case .anyText: false
    }
  }

  private static func parse(_ pattern: [UInt8]) -> [Element] {
    var elements: [Element] = []
    var rest = pattern[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "*"): if elements.last != .anyText { elements.append(.anyText) }
      case UInt8(ascii: "?"): elements.append(.anyByte)
      // A bracket that is not closed stands for itself.
      case UInt8(ascii: "["): elements.append(bracket(&rest) ?? .byte(byte))
      default: elements.append(.byte(byte))
      }
    }
    return elements
  }

  /// Reads what follows a `[`, or leaves it if there is no `]`.
  private static func bracket(_ rest: inout ArraySlice<UInt8>) -> Element? {
    var inside = rest
    var isNegated = false
    if let first = inside.first, "!^".utf8.contains(first) {
      isNegated = true
      inside.removeFirst()
    }
    var ranges: [ClosedRange<UInt8>] = []
    var isFirst = true
    while let low = inside.popFirst() {
      // A `]` that comes first is one of the characters.
      if low == UInt8(ascii: "]"), !isFirst {
        rest = inside
        return .oneOf(ranges, negated: isNegated)
      }
      isFirst = false
      if inside.first == UInt8(ascii: "-"), let high = inside.dropFirst().first, high != UInt8(ascii: "]") {
        inside.removeFirst(2)
        if low <= high { ranges.append(low...high) }
      } else {
        ranges.append(low...low)
      }
    }
    return nil
  }
}
