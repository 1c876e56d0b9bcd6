/// Splits a text into words as systemd does: at white space, with quotes and escapes.
public enum Words {
  /// How a backslash is read.
  public enum Escapes: Sendable {
    /// As an escape, as in `ExecStart=` and `Environment=`: `\n`, `\t`, `\"`, `\s` for a space, `\x2d`, `\055`, `\u00e4`.
    case interpreted
    /// As an ordinary character, as in lists of unit names: `dev-disk-by\x2dlabel.device`.
    case kept
  }

  /// A word, and whether it was quoted.
  public struct Word: Sendable, Hashable {
    /// The word without its quotes.
    public var text: String
    /// Whether any of it was quoted or escaped.
    public var isQuoted: Bool
  }

  /// Splits a text into words.
  public static func split(_ text: String, escapes: Escapes = .interpreted) throws(WordSyntaxError) -> [String] {
    try splitMarked(text, escapes: escapes).map(\.text)
  }

  /// Splits a text into words, and reports which of them were quoted.
  public static func splitMarked(
    _ text: String, escapes: Escapes = .interpreted
  ) throws(WordSyntaxError) -> [Word] {
    var scanner = ByteScanner(Array(text.utf8)[...])
    var words: [Word] = []
    while true {
      scanner.skipWhitespace()
      if scanner.isAtEnd { return words }
      words.append(try word(&scanner, escapes))
    }
  }

  private static func word(_ scanner: inout ByteScanner, _ escapes: Escapes) throws(WordSyntaxError) -> Word {
    var bytes: [UInt8] = []
    var quote: UInt8?
    var isQuoted = false
    reading: while let byte = scanner.next() {
      if byte == UInt8(ascii: "\\") {
        switch escapes {
        case .interpreted:
          bytes += try Escape.read(&scanner)
          isQuoted = true
        case .kept:
          bytes.append(byte)
          guard let next = scanner.next() else { throw WordSyntaxError("the last character is a backslash") }
          bytes.append(next)
        }
      } else if let open = quote {
        if byte == open { quote = nil } else { bytes.append(byte) }
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        quote = byte
        isQuoted = true
      } else if byte.isSystemdWhitespace {
        break reading
      } else {
        bytes.append(byte)
      }
    }
    if let quote { throw WordSyntaxError("the quote \(Character(Unicode.Scalar(quote))) is not closed") }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw WordSyntaxError("a word is not valid UTF-8 once its escapes are resolved")
    }
    return Word(text: text, isQuoted: isQuoted)
  }
}

/// A command line in the syntax of `ExecStart=` (systemd.service(5)), without prefixes and without variables.
public enum CommandLine {
  /// Splits a command line into the program and its arguments.
  public static func split(_ text: String) throws(WordSyntaxError) -> [String] {
    let words = try Words.splitMarked(text)
    guard let program = words.first, !program.text.isEmpty else { throw WordSyntaxError("there is no program") }
    if let prefix = program.text.first, "@-:+!|".contains(prefix) {
      throw WordSyntaxError("the prefix '\(prefix)' of '\(program.text)' is not supported: write the program alone")
    }
    // In units a lone semicolon separates commands, and `\;` stands for itself.
    if words.contains(where: { $0.text == ";" && !$0.isQuoted }) {
      throw WordSyntaxError("there is more than one command: ';' must be written '\\;' or quoted")
    }
    return words.map(\.text)
  }
}

/// Why a text cannot be split into words.
public struct WordSyntaxError: Error, Hashable, CustomStringConvertible {
  /// What is wrong, for people.
  public let description: String

  init(_ description: String) { self.description = description }
}
