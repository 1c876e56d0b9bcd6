import Testing

@testable import Runs

/// How much of an attempt's output is kept.
@Suite struct OutputBudgetTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    /// Lines that are printed first: how many, and how many bytes each has.
    var before: (count: Int, bytes: Int)
    /// The sizes of the lines that come then, with what becomes of each.
    var lines: [(bytes: Int, verdict: OutputBudget.Verdict)]
    var dropped: (lines: Int, bytes: Int)?
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "little is kept", before: (0, 0), lines: [(10, .keep), (0, .keep)]),
    Case(
      name: "the last line that fits is kept", before: (OutputBudget.lines - 1, 1), lines: [(1, .keep)]),
    Case(
      name: "the first line too many is announced, all that follow are dropped", before: (OutputBudget.lines, 1),
      lines: [(7, .announce), (8, .drop), (0, .drop)], dropped: (3, 15)),
    Case(
      name: "empty lines count as lines", before: (OutputBudget.lines, 0), lines: [(0, .announce), (0, .drop)],
      dropped: (2, 0)),
    Case(
      name: "the last byte that fits is kept", before: (16, (1 << 20) - 1), lines: [(16, .keep)]),
    Case(
      name: "the first byte too many is announced", before: (16, 1 << 20), lines: [(1, .announce), (1, .drop)],
      dropped: (2, 2)),
    Case(
      name: "one line may be too long", before: (0, 0), lines: [(OutputBudget.bytes + 1, .announce), (1, .drop)],
      dropped: (2, OutputBudget.bytes + 2)),
    Case(
      name: "a short line that would fit after a long one is dropped", before: (1, OutputBudget.bytes - 10),
      lines: [(11, .announce), (5, .drop)], dropped: (2, 16)),
    Case(name: "one line may use all of it", before: (0, 0), lines: [(OutputBudget.bytes, .keep), (0, .keep)]),
  ]

  @Test(arguments: cases) func linesAreKeptAnnouncedOrDropped(_ test: Case) {
    var budget = OutputBudget()
    for _ in 0..<test.before.count { #expect(budget.take(test.before.bytes) == .keep) }
    for line in test.lines { #expect(budget.take(line.bytes) == line.verdict) }
    #expect(budget.isUsedUp == (test.dropped != nil))
    let dropped = budget.takeDropped()
    #expect(dropped?.lines == test.dropped?.lines && dropped?.bytes == test.dropped?.bytes)
  }

  @Test func whatWasDroppedIsCountedSinceItWasAskedForLast() {
    var budget = OutputBudget()
    #expect(budget.takeDropped() == nil)
    for _ in 0...OutputBudget.lines { _ = budget.take(2) }
    #expect(budget.takeDropped() ?? (0, 0) == (1, 2))
    #expect(budget.takeDropped() == nil)
    _ = budget.take(3)
    budget.drop(lines: 4, bytes: 50)
    #expect(budget.takeDropped() ?? (0, 0) == (5, 53))
    // Part of a line that does not end has bytes and no line.
    budget.drop(lines: 0, bytes: 9)
    #expect(budget.takeDropped() ?? (0, 0) == (0, 9))
    budget.drop(lines: 0, bytes: 0)
    #expect(budget.takeDropped() == nil)
  }

  @Test func whatIsNotLookedAtDoesNotUseUpTheBudget() {
    var budget = OutputBudget()
    budget.drop(lines: OutputBudget.lines, bytes: OutputBudget.bytes)
    #expect(!budget.isUsedUp)
    #expect(budget.take(1) == .keep)
  }
}
