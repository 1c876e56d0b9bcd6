internal import SimulatedSystem

/// Plays histories.
package enum Simulation {
  /// What came of a history.
  package struct Result: Sendable {
    /// What must not be; empty if all is well.
    package var complaints: [String]
    /// How much time has passed on the machine, in microseconds.
    package var passed: UInt64
    package var events: Int
    package var runs: Int
    package var messages: [String]
    /// What has happened to the unit of the first complaint.
    package var story: [String] = []
  }

  /// Plays a history, and judges it.
  package static func play(_ history: History, hookSets: [HookSet]) -> Result {
    let world = World(seed: history.seed, hookSets: hookSets)
    world.manager.powerOn()
    world.clock.advance(by: 15_000_000)
    for step in history.steps { world.apply(step, hookSets: hookSets) }
    world.settle()
    let told = world.ledgerRuns()
    world.settledAt = world.clock.passed
    world.replayAll()
    let runs = world.ledgerRuns()
    let complaints = Judge.complaints(about: world, history, told: told)
    var result = Result(
      complaints: complaints, passed: world.clock.passed, events: runs.count { $0.hook == HookSet.all.name },
      runs: runs.count, messages: world.messages)
    if let first = complaints.first, let unit = StoryPrinter.unit(in: first, of: world) {
      result.story = StoryPrinter.lines(world, unit: unit)
      result.messages.removeAll { !$0.contains(unit) && $0.contains("Hook ") }
    }
    return result
  }

  /// Leaves out steps as long as the same kind of complaint stays.
  package static func shrink(_ history: History, hookSets: [HookSet]) -> History {
    guard let first = play(history, hookSets: hookSets).complaints.first else { return history }
    let kind = words(of: first)
    func fails(_ steps: [Step]) -> Bool {
      play(History(seed: history.seed, steps: steps), hookSets: hookSets).complaints.contains { words(of: $0) == kind }
    }
    var steps = history.steps
    var size = max(1, steps.count / 2)
    while true {
      var start = 0
      var isSmaller = false
      while start < steps.count {
        var fewer = steps
        fewer.removeSubrange(start..<min(start + size, steps.count))
        if fails(fewer) {
          steps = fewer
          isSmaller = true
        } else {
          start += size
        }
      }
      if size == 1, !isSmaller { break }
      size = max(1, size / 2)
    }
    return History(seed: history.seed, steps: steps)
  }

  /// A complaint without its numbers and names.
  private static func words(of complaint: String) -> String {
    complaint.split(separator: " ").filter { word in word.allSatisfy { $0.isLetter || $0 == "," } }
      .joined(separator: " ")
  }
}
