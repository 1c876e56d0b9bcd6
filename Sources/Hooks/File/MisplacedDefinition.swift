internal import Systemd

/// A definition, or a part of one, in a place of a file where it is not read.
///
/// A program may show a definition in its help text. So a text is reported only if it is in a comment or at the very beginning
/// of a line, as a definition would be.
struct MisplacedDefinition {
  /// The byte order mark that some editors put before a text in UTF-8. The kernel does not find a `#!` after it.
  static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// The length of the part of a file that is searched, in bytes.
  private static let limit = 64 * 1024
  /// The number of lines after a section header that are searched for its keys.
  private static let linesAfterHeader = 12

  private let lines: [Line]
  /// The number of the first line that is not a comment.
  private let codeLine: Int?

  init(_ contents: [UInt8]) {
    var lines = UnitFile.lines(of: Array(contents.prefix(Self.limit)))
    if lines.first?.bytes.starts(with: "#!".utf8) == true { lines.removeFirst() }
    self.lines = lines.filter { !$0.bytes.isEmpty }.map(Line.init)
    codeLine = self.lines.first { $0.mark.isEmpty && !$0.text.isEmpty }?.number
  }

  /// The place of a definition that is not read, and the reason why it is not; nil if the file has none.
  static func find(in contents: [UInt8]) -> (line: Int, message: String)? {
    if contents.starts(with: [0xFF, 0xFE]) || contents.starts(with: [0xFE, 0xFF]), contents.prefix(64).contains(0) {
      return (1, "the text is UTF-16, which no interpreter reads: save it as UTF-8")
    }
    // The bytes of a binary program may look like a definition by chance.
    return contents.prefix(1024).contains(0) ? nil : MisplacedDefinition(contents).find()
  }

  private func find() -> (line: Int, message: String)? {
    for (index, line) in lines.enumerated() {
      if line.isHeader, lines[(index + 1)...].prefix(Self.linesAfterHeader).contains(where: \.isUnitOrEvent) {
        return (line.number, reason(of: line))
      }
      if isLeading(line), line.isUnitOrEvent {
        return (line.number, "\(line.key)= without a section: the line '\(line.mark) [Match]' is missing above it")
      }
    }
    return nil
  }

  private func reason(of line: Line) -> String {
    let rule = "a definition is read only in the leading comment"
    if let php = lines.first(where: { $0.text.hasPrefix("<?php") }), php.number < line.number {
      return "\(rule), and PHP prints the text before '<?php': write a NAME.hook file with Exec= instead"
    }
    if let codeLine, codeLine < line.number {
      return "\(rule), and this is after the first line of code (line \(codeLine)): move it before that line"
    }
    if line.mark.isEmpty { return "\(rule), and this is not a comment: begin each of its lines with '# '" }
    return
      "'\(line.mark) \(line.text)' does not begin a definition: each line of one begins with '#', '//', '--' or ';'"
  }

  /// Keys in the leading comment that are outside of its definition, where they have no effect.
  ///
  /// - Parameter definition: the numbers of the definition's lines.
  func strayKeys(besides definition: Set<Int>) -> [(line: Int, severity: Diagnostic.Severity, message: String)] {
    let first = definition.min() ?? 0
    return lines.filter { isLeading($0) && $0.isAssignment && !definition.contains($0.number) }.compactMap { line in
      let isMatch = HookParser.matchKeys.contains { line.key == $0 }
      guard isMatch || HookParser.hookKeys.contains(where: { line.key == $0 }) else { return nil }
      let place = line.number < first ? "stands before the first [Section]" : "stands after the end of the definition"
      // Without such a key the hook would run in more cases than its author wants.
      let isError = isMatch || line.key.contains("Condition")
      return (line.number, isError ? .error : .warning, "\(line.key)= \(place), where it has no effect")
    }
  }

  private func isLeading(_ line: Line) -> Bool { !line.mark.isEmpty && line.number < codeLine ?? .max }

  /// A line and its parts.
  private struct Line {
    let number: Int
    /// The characters that begin the comment: `#`, `##`, `//`, `/*`; empty if the line is not a comment.
    let mark: String
    /// The text after the mark and one space.
    let text: Substring

    init(_ line: UnitFile.Line) {
      number = line.number
      let whole = String(decoding: line.bytes.prefix(200), as: UTF8.self)
      var rest = whole.drop(while: \.isWhitespace)
      let isIndented = rest.startIndex != whole.startIndex
      let marks = rest.prefix { "#/*;-".contains($0) }
      let isComment = ["#", "//", "/*", "--", ";", "*"].contains { marks.hasPrefix($0) }
      mark = isComment ? String(marks) : ""
      rest = rest.dropFirst(mark.count)
      if isComment, rest.first == " " { rest = rest.dropFirst() }
      for quote in ["\"\"\"", "'''"] where !isComment && rest.hasPrefix(quote) { rest = rest.dropFirst(3) }
      while rest.last?.isWhitespace == true { rest.removeLast() }
      text = rest
      isExample = isComment ? rest.first?.isWhitespace == true : isIndented
    }

    /// Whether the text is indented, within a comment or without one, as examples are.
    let isExample: Bool

    var isHeader: Bool { !isExample && ["[match]", "[hook]"].contains(text.lowercased()) }
    var key: Substring { text.prefix { $0.isLetter } }
    var isAssignment: Bool { !isExample && !key.isEmpty && text[key.endIndex...].drop { $0 == " " }.first == "=" }
    var isUnitOrEvent: Bool { isAssignment && (key == "Unit" || key == "Event") }
  }
}
