/// The escapes of C strings, and systemd's `\s` for a space (systemd.syntax(7)).
enum Escape {
  /// Reads the rest of an escape, after its backslash.
  static func read(_ scanner: inout ByteScanner) throws(WordSyntaxError) -> [UInt8] {
    guard let byte = scanner.next() else { throw WordSyntaxError("the last character is a backslash") }
    switch byte {
    case UInt8(ascii: "a"): return [0x07]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0c]
    case UInt8(ascii: "n"): return [0x0a]
    case UInt8(ascii: "r"): return [0x0d]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "v"): return [0x0b]
    case UInt8(ascii: "s"): return [0x20]
    // `\;` is an escape of command lines only, where a lone `;` would separate commands.
    case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: ";"): return [byte]
    case UInt8(ascii: "x"): return [UInt8(truncatingIfNeeded: try number(&scanner, "\\x", digits: 2, radix: 16))]
    case UInt8(ascii: "u"): return try scalar(&scanner, "\\u", digits: 4)
    case UInt8(ascii: "U"): return try scalar(&scanner, "\\U", digits: 8)
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      let value = try number(&scanner, "\\", digits: 3, radix: 8, first: byte)
      guard let byte = UInt8(exactly: value) else {
        throw WordSyntaxError("the escape \\\(String(value, radix: 8)) is too large")
      }
      return [byte]
    default:
      throw WordSyntaxError("the escape \\\(printable(byte)) is not known; a backslash itself is written \\\\")
    }
  }

  private static func printable(_ byte: UInt8) -> String {
    byte >= 0x20 && byte < 0x7f ? String(Character(Unicode.Scalar(byte))) : "x" + String(byte, radix: 16)
  }

  private static func number(
    _ scanner: inout ByteScanner, _ start: String, digits: Int, radix: Int, first: UInt8? = nil
  ) throws(WordSyntaxError) -> UInt32 {
    let begun = first.map { [$0] } ?? []
    let following = scanner.rest.prefix(digits - begun.count)
    let text = String(decoding: begun + following, as: UTF8.self)
    guard text.utf8.count == digits, text.utf8.first != UInt8(ascii: "+"), let value = UInt32(text, radix: radix) else {
      throw WordSyntaxError("the escape \(start) needs \(digits) \(radix == 8 ? "octal" : "hexadecimal") digits")
    }
    guard value != 0 else { throw WordSyntaxError("an escape stands for a NUL byte") }
    _ = scanner.skip(following)
    return value
  }

  private static func scalar(
    _ scanner: inout ByteScanner, _ start: String, digits: Int
  ) throws(WordSyntaxError) -> [UInt8] {
    let value = try number(&scanner, start, digits: digits, radix: 16)
    guard let scalar = Unicode.Scalar(value) else {
      throw WordSyntaxError("the escape \(start)\(String(value, radix: 16)) is not a character")
    }
    return Array(String(Character(scalar)).utf8)
  }
}
