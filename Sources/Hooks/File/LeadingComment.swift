internal import Systemd

/// The definition in the leading comment of an executable.
enum LeadingComment {
  /// The characters that begin a comment in the languages of scripts.
  private static let marks = ["#", "//", "--", ";"].map { Array($0.utf8) }

  /// The lines of the definition, without the comment mark and one space after it; nil if there is no `[Match]` or `[Hook]`.
  ///
  /// Prose before the first section is ignored. The definition ends with the comment. It also ends before a line that follows an
  /// empty line and is neither a section header nor a `Key=` in the same block of comment lines. So prose can follow the
  /// definition after an empty line.
  static func definition(in contents: [UInt8]) -> [UnitFile.Line]? {
    var mark: [UInt8]?
    var definition: [UnitFile.Line] = []
    var gap = Gap.none
    for line in Lines(rest: contents[...]) {
      if line.number == 1, line.bytes.starts(with: "#!".utf8) { continue }
      let text = line.bytes.drop(while: isBlank)
      if text.isEmpty {
        gap = .emptyLine
        continue
      }
      mark = mark ?? marks.first { text.starts(with: $0) }
      guard let mark, let comment = strip(mark, from: text) else { break }
      let content = comment.drop(while: isBlank)

      if definition.isEmpty {
        if isHead(content, of: ["match", "hook"]) {
          definition.append(UnitFile.Line(number: line.number, bytes: comment))
        }
        gap = .none
      } else if content.isEmpty {
        if gap == .none { gap = .emptyComment }
        definition.append(UnitFile.Line(number: line.number, bytes: comment))
      } else if isForTool(content) || content.first == UInt8(ascii: "#") || content.first == UInt8(ascii: ";") {
        continue
      } else {
        let isHead = content.first == UInt8(ascii: "[")
        guard gap == .none || isHead || (gap == .emptyComment && isAssignment(content)) else { break }
        gap = .none
        definition.append(UnitFile.Line(number: line.number, bytes: comment))
      }
    }
    return definition.isEmpty ? nil : definition
  }

  /// The empty lines before a line.
  private enum Gap {
    case none
    /// Only comments without text.
    case emptyComment
    /// At least one line that is not even a comment.
    case emptyLine
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }

  private static func strip(_ mark: [UInt8], from text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard text.starts(with: mark) else { return nil }
    var rest = text.dropFirst(mark.count)
    // A comment in Lisp begins with any number of semicolons.
    if mark == Array(";".utf8) { rest = rest.drop { $0 == UInt8(ascii: ";") } }
    return rest.first == UInt8(ascii: " ") ? rest.dropFirst() : rest
  }

  private static func isHead(_ text: ArraySlice<UInt8>, of names: [String]) -> Bool {
    let text = String(decoding: text, as: UTF8.self).lowercased()
    return names.contains { text.hasPrefix("[\($0)]") && text.dropFirst($0.count + 2).allSatisfy(\.isWhitespace) }
  }

  private static func isAssignment(_ text: ArraySlice<UInt8>) -> Bool {
    let key = text.prefix { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a || $0 == UInt8(ascii: "-") }
    return !key.isEmpty && text[key.endIndex...].drop(while: isBlank).first == UInt8(ascii: "=")
  }

  /// Whether a comment is an instruction for a tool, which may be anywhere in a script.
  private static func isForTool(_ text: ArraySlice<UInt8>) -> Bool {
    ["shellcheck ", "vim:", "-*-", "SPDX-"].contains { text.starts(with: $0.utf8) }
  }

  /// The lines one by one, so that of a large program only the beginning is read.
  private struct Lines: Sequence, IteratorProtocol {
    var rest: ArraySlice<UInt8>?
    var number = 0

    mutating func next() -> UnitFile.Line? {
      guard let text = rest else { return nil }
      number += 1
      let end = text.firstIndex(of: UInt8(ascii: "\n"))
      rest = end.map { text[($0 + 1)...] }
      let line = text[..<(end ?? text.endIndex)]
      return UnitFile.Line(number: number, bytes: line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
    }
  }
}
