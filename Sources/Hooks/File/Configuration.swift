package import Systemd

/// The settings in `journalhook.conf` and its drop-ins, with the defaults of those that are not set.
package struct Configuration: Sendable, Hashable {
  /// `Jobs=`: the largest number of runs at the same time.
  package var jobs = 64
  /// `DefaultTimeoutSec=`: the timeout of hooks without `TimeoutSec=`.
  package var defaultTimeout = TimeSpan.minutes(2)
  /// `HistoryKeep=`: which finished runs stay in the ledger.
  package var historyKeep = HistoryKeep()

  package init() {}
}

/// The limits for finished runs in the ledger: their age and their number. A run that exceeds either is removed.
package struct HistoryKeep: Sendable, Hashable {
  /// The time since the end of a run; 30 days by default.
  package var time = TimeSpan.seconds(30 * 86400)
  /// The number of runs; 100,000 by default, nil for no limit.
  package var runs: UInt32? = 100_000

  package init() {}

  /// Reads `30d 100000`: a time span, a number of runs (which has no unit), or both. `infinity` means no limit; so does
  /// leaving one of them out.
  init(parsing text: String) throws(HookValueError) {
    time = .infinity
    runs = nil
    var span: [String] = []
    for word in try HookValue.words(text) {
      guard word.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else {
        span.append(word)
        continue
      }
      let count = try HookValue.count(word)
      guard runs == nil else { throw HookValueError("'\(text)' has two numbers of runs; a time span needs a unit") }
      guard count > 0 else { throw HookValueError("at least 1 run must be kept") }
      runs = count
    }
    if !span.isEmpty { time = try HookValue.span(span.joined(separator: " ")) }
  }
}

/// Builds a configuration from the main file and its drop-ins, in their order.
package struct ConfigurationParser {
  enum Key: String, CaseIterable {
    case jobs = "Jobs"
    case defaultTimeout = "DefaultTimeoutSec"
    case historyKeep = "HistoryKeep"
  }

  private static let section = "Follow"

  /// The settings of the files that were added.
  package private(set) var configuration = Configuration()
  /// The errors and warnings about these files.
  package private(set) var diagnostics: [Diagnostic] = []

  package init() {}

  /// Applies the assignments of a file after those of earlier files.
  package mutating func add(_ contents: [UInt8], file: String) {
    let content = UnitFile(parsing: contents)
    func report(_ severity: Diagnostic.Severity, _ message: String, _ line: Int) {
      diagnostics.append(Diagnostic(file: file, line: line, severity: severity, message: message))
    }
    for problem in content.problems { report(.error, problem.message, problem.line) }
    for section in content.sections where section.name != Self.section && !section.name.hasPrefix("X-") {
      let near = suggestion(for: section.name, among: [Self.section])
      report(.warning, "unknown section [\(section.name)], ignored" + near, section.line)
    }
    for assignment in content.assignments where assignment.section == Self.section && !assignment.key.hasPrefix("X-") {
      guard let key = Key(rawValue: assignment.key) else {
        let near = suggestion(for: assignment.key, among: Key.allCases.map(\.rawValue), suffix: "=")
        report(.warning, "unknown key \(assignment.key)=, ignored" + near, assignment.line)
        continue
      }
      do throws(HookValueError) {
        try apply(key, assignment.value)
      } catch {
        report(.error, "\(assignment.key)=: \(error)", assignment.line)
      }
    }
  }

  private mutating func apply(_ key: Key, _ value: String) throws(HookValueError) {
    let isReset = value.isEmpty
    let initial = Configuration()
    switch key {
    case .jobs:
      let jobs = isReset ? initial.jobs : Int(try HookValue.count(value))
      guard jobs > 0 else { throw HookValueError("at least 1 run must be allowed") }
      configuration.jobs = jobs
    case .defaultTimeout:
      let timeout = isReset ? initial.defaultTimeout : try HookValue.span(value)
      // As in TimeoutSec= of a hook, 0 means no timeout.
      configuration.defaultTimeout = timeout == .zero ? .infinity : timeout
    case .historyKeep: configuration.historyKeep = isReset ? initial.historyKeep : try HistoryKeep(parsing: value)
    }
  }
}
