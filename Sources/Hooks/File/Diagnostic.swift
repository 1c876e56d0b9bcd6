internal import Systemd

/// What is wrong with a hook, and where.
package struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
  package enum Severity: String, Sendable {
    /// The hook cannot be used.
    case error
    /// The hook works, but perhaps not as meant.
    case warning
  }

  package var file: String
  /// The number of the line, from 1.
  package var line: Int
  package var severity: Severity
  package var message: String

  package init(file: String, line: Int, severity: Severity, message: String) {
    self.file = file
    self.line = line
    self.severity = severity
    self.message = message
  }

  /// `FILE:LINE: error: what is wrong`, as compilers write it, so that editors find the place.
  package var description: String { "\(file):\(line): \(severity.rawValue): \(message)" }
}
