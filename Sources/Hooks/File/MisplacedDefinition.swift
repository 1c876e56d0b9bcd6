internal import Systemd

/// A hook's definition, or a part of one, in a place of a file where it does not count.
///
/// A program may well show a definition in its help. So only what is written as one is reported: in a comment, or at the very
/// beginning of a line.
struct MisplacedDefinition {
  /// What some editors put before a text in UTF-8. The kernel finds no `#!` behind it.
  static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// The length of the text that is searched, in bytes.
  private static let limit = 64 * 1024
  /// The number of lines below a section header that are searched for its keys.
  private static let reach = 12

  private let lines: [Line]
  /// The number of the first line that is no comment.
  private let codeLine: Int?

  init(_ contents: [UInt8]) {
    var lines = UnitFile.lines(of: Array(contents.prefix(Self.limit)))
    if lines.first?.bytes.starts(with: "#!".utf8) == true { lines.removeFirst() }
    self.lines = lines.filter { !$0.bytes.isEmpty }.map(Line.init)
    codeLine = self.lines.first { $0.mark.isEmpty && !$0.text.isEmpty }?.number
  }

  /// Why a file without a definition in its leading comment is none; nil if nothing in it is written as a definition.
  static func find(in contents: [UInt8]) -> (line: Int, message: String)? {
    if contents.starts(with: [0xFF, 0xFE]) || contents.starts(with: [0xFE, 0xFF]), contents.prefix(64).contains(0) {
      return (1, "the text is UTF-16, which no interpreter reads: save it as UTF-8")
    }
    // In a program for the machine any line may look like anything.
    return contents.prefix(1024).contains(0) ? nil : MisplacedDefinition(contents).find()
  }

  private func find() -> (line: Int, message: String)? {
    for (index, line) in lines.enumerated() {
      if line.isHeader, lines[(index + 1)...].prefix(Self.reach).contains(where: \.namesWhatItIsFor) {
        return (line.number, reason(of: line))
      }
      if isLeading(line), line.namesWhatItIsFor {
        return (line.number, "\(line.key)= without a section: the line '\(line.mark) [Match]' is missing above it")
      }
    }
    return nil
  }

  private func reason(of line: Line) -> String {
    let rule = "a definition counts only in the leading comment"
    if let php = lines.first(where: { $0.text.hasPrefix("<?php") }), php.number < line.number {
      return "\(rule), and PHP prints what stands above '<?php': write a NAME.hook file with Exec= instead"
    }
    if let codeLine, codeLine < line.number {
      return "\(rule), and this is below the first line of code (line \(codeLine)): move it above that"
    }
    if line.mark.isEmpty { return "\(rule), and this is no comment: begin each line of it with '# '" }
    return "'\(line.mark) \(line.text)' begins no definition: each line of it begins with '#', '//', '--' or ';'"
  }

  /// Keys in the leading comment outside of its definition, where they do not count.
  ///
  /// - Parameter definition: the numbers of the definition's lines.
  func strayKeys(besides definition: Set<Int>) -> [(line: Int, severity: Diagnostic.Severity, message: String)] {
    let first = definition.min() ?? 0
    return lines.filter { isLeading($0) && $0.isAssignment && !definition.contains($0.number) }.compactMap { line in
      let isMatch = HookParser.matchKeys.contains { line.key == $0 }
      guard isMatch || HookParser.hookKeys.contains(where: { line.key == $0 }) else { return nil }
      let place = line.number < first ? "stands before the first [Section]" : "stands behind the definition's end"
      // Without it the hook would run for more than its author meant.
      let isError = isMatch || line.key.contains("Condition")
      return (line.number, isError ? .error : .warning, "\(line.key)= \(place), where it does not count")
    }
  }

  private func isLeading(_ line: Line) -> Bool { !line.mark.isEmpty && line.number < codeLine ?? .max }

  /// A line, taken apart.
  private struct Line {
    let number: Int
    /// The characters that make it a comment: `#`, `##`, `//`, `/*`; empty for what is none.
    let mark: String
    /// What follows the mark and a blank.
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

    /// Whether it is indented within a comment or a text, as examples are.
    let isExample: Bool

    var isHeader: Bool { !isExample && ["[match]", "[hook]"].contains(text.lowercased()) }
    var key: Substring { text.prefix { $0.isLetter } }
    var isAssignment: Bool { !isExample && !key.isEmpty && text[key.endIndex...].drop { $0 == " " }.first == "=" }
    var namesWhatItIsFor: Bool { isAssignment && (key == "Unit" || key == "Event") }
  }
}
