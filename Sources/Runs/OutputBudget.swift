/// How much of what one attempt prints the journal is given: a script that prints without end must not drive everything
/// else out of it.
package struct OutputBudget {
  /// More than what anybody reads; journald keeps 10,000 lines in some 4 MB.
  package static let lines = 10_000
  package static let bytes = 16 << 20

  /// What to do with a line.
  package enum Verdict {
    case keep
    /// It is the first that does not fit: this is to be reported.
    case announce
    case drop
  }

  private var lines = 0
  private var bytes = 0
  /// What was dropped and not reported yet.
  private var dropped = (lines: 0, bytes: 0)

  /// Whether all that comes will be dropped.
  package private(set) var isUsedUp = false

  package init() {}

  /// Decides about a line.
  ///
  /// - Parameter count: its length in bytes.
  package mutating func take(_ count: Int) -> Verdict {
    if isUsedUp {
      drop(lines: 1, bytes: count)
      return .drop
    }
    lines += 1
    bytes += count
    if lines <= OutputBudget.lines, bytes <= OutputBudget.bytes { return .keep }
    isUsedUp = true
    drop(lines: 1, bytes: count)
    return .announce
  }

  /// Counts what was not even looked at.
  package mutating func drop(lines: Int, bytes: Int) {
    dropped.lines += lines
    dropped.bytes += bytes
  }

  /// What was dropped since it was asked for last; nil if nothing was.
  package mutating func takeDropped() -> (lines: Int, bytes: Int)? {
    guard dropped.lines > 0 || dropped.bytes > 0 else { return nil }
    defer { dropped = (0, 0) }
    return dropped
  }
}
