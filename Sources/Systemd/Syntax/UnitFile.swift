/// A file in the syntax of systemd.syntax(7): sections of `Key=Value` lines.
///
/// Each line that cannot be read is reported as a problem; the other lines are read nevertheless.
public struct UnitFile: Sendable, Hashable {
  /// A section header, `[Name]`.
  public struct Section: Sendable, Hashable {
    /// The name between the brackets.
    public var name: String
    /// The number of its line, from 1.
    public var line: Int
  }

  /// One `Key=Value`.
  public struct Assignment: Sendable, Hashable {
    /// The name of the section that contains it.
    public var section: String
    /// The text before the first `=`.
    public var key: String
    /// The text after the first `=`, with continued lines joined and without white space around it; may be empty.
    public var value: String
    /// The number of its first line, from 1.
    public var line: Int
  }

  /// An error in the file.
  public struct Problem: Sendable, Hashable {
    /// The number of the line, from 1.
    public var line: Int
    /// What is wrong, for people.
    public var message: String
  }

  /// A line of the file as it is written, not yet joined with those that continue it.
  public struct Line: Sendable, Hashable {
    /// Its number, from 1.
    public var number: Int
    /// Its text without the end of line.
    public var bytes: ArraySlice<UInt8>

    /// Creates a line.
    public init(number: Int, bytes: ArraySlice<UInt8>) {
      self.number = number
      self.bytes = bytes
    }
  }

  /// The sections in the order of the file; a name may occur more than once.
  public private(set) var sections: [Section] = []
  /// The assignments in the order of the file.
  public private(set) var assignments: [Assignment] = []
  /// The lines that could not be read, and why.
  public private(set) var problems: [Problem] = []

  /// The longest line that is accepted, with its continuation lines, in bytes: 1 MiB, as in systemd.
  public static let maxLineLength = 1 << 20

  /// Reads the content of a file.
  public init(parsing bytes: [UInt8]) {
    self.init(lines: Self.lines(of: bytes))
  }

  /// Reads a text.
  public init(parsing text: String) {
    self.init(parsing: Array(text.utf8))
  }

  /// Reads lines, which may be a part of a file.
  public init(lines: some Sequence<Line>) {
    var continued: (number: Int, bytes: [UInt8])?
    for line in lines {
      let text = line.bytes.drop(while: \.isSystemdWhitespace)
      // A comment within a continued line does not end that line.
      if let first = text.first, "#;".utf8.contains(first) { continue }
      var whole = continued ?? (line.number, [])
      whole.bytes += text
      continued = nil
      // A backslash at the end continues the line, unless another backslash escapes it.
      let backslashes = whole.bytes.reversed().prefix { $0 == UInt8(ascii: "\\") }.count
      if !backslashes.isMultiple(of: 2) {
        whole.bytes[whole.bytes.count - 1] = UInt8(ascii: " ")
        continued = whole
      } else {
        read(whole.bytes[...], line: whole.number)
      }
    }
    if let continued { read(continued.bytes[...], line: continued.number) }
  }

  /// Splits the content of a file into its lines; they end with LF or CR LF.
  public static func lines(of bytes: [UInt8]) -> [Line] {
    let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
    let text = bytes.starts(with: byteOrderMark) ? bytes.dropFirst(byteOrderMark.count) : bytes[...]
    var lines: [Line] = []
    for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      let isCRLF = line.last == UInt8(ascii: "\r")
      lines.append(Line(number: lines.count + 1, bytes: isCRLF ? line.dropLast() : line))
    }
    return lines
  }

  private mutating func read(_ text: ArraySlice<UInt8>, line: Int) {
    let text = text.trimmed
    guard !text.isEmpty else { return }
    guard text.count <= Self.maxLineLength else { return report(line, "the line is longer than 1 MiB") }
    guard !text.contains(0) else { return report(line, "the line contains a NUL byte") }
    guard let whole = String(validating: text, as: UTF8.self) else {
      return report(line, "the line is not valid UTF-8")
    }

    if text.first == UInt8(ascii: "[") {
      guard text.last == UInt8(ascii: "]"), text.count > 2 else {
        return report(line, "'\(Self.clipped(whole))' is not a section header: it must have the form [Name]")
      }
      return sections.append(Section(name: String(whole.dropFirst().dropLast()), line: line))
    }
    guard let equals = text.firstIndex(of: UInt8(ascii: "=")) else {
      return report(line, "'\(Self.clipped(whole))' has no '='")
    }
    let key = String(decoding: text[..<equals].trimmed, as: UTF8.self)
    guard !key.isEmpty else { return report(line, "there is no key before the '='") }
    guard let section = sections.last else { return report(line, "\(key)= stands before the first [Section]") }
    let value = String(decoding: text[(equals + 1)...].trimmed, as: UTF8.self)
    assignments.append(Assignment(section: section.name, key: key, value: value, line: line))
  }

  private static func clipped(_ text: String) -> String { text.count > 60 ? text.prefix(60) + "…" : text }

  private mutating func report(_ line: Int, _ message: String) {
    problems.append(Problem(line: line, message: message))
  }
}

extension ArraySlice<UInt8> {
  /// Without white space at both ends.
  var trimmed: ArraySlice<UInt8> {
    let head = drop(while: \.isSystemdWhitespace)
    return head.prefix((head.lastIndex { !$0.isSystemdWhitespace } ?? head.startIndex - 1) - head.startIndex + 1)
  }
}
