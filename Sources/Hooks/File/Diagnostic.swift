internal import Systemd

/// An error or a warning about a file, and its place.
package struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
  /// Whether the hook can be used.
  package enum Severity: String, Sendable {
    /// The hook cannot be used.
    case error
    /// The hook works, but perhaps not as its author intends.
    case warning
  }

  package var file: String
  /// The number of the line, from 1.
  package var line: Int
  /// Whether this is an error or a warning.
  package var severity: Severity
  package var message: String

  package init(file: String, line: Int, severity: Severity, message: String) {
    self.file = file
    self.line = line
    self.severity = severity
    self.message = message
  }

  /// `FILE:LINE: error: MESSAGE`. This is the form of compiler messages, which editors recognize.
  package var description: String { "\(file):\(line): \(severity.rawValue): \(message)" }
}
