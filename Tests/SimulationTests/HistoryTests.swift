import Simulation
import TestSupport
import Testing

/// Invented histories of a whole machine, with the program's own logic in them.
@Suite struct HistoryTests {
  /// Always the same ones: more of them are played by contrib/simulate.
  @Test func whatHasToHoldInTheEndDoes() throws {
    let directory = try TemporaryDirectory()
    let hookSets = HookSet.make(in: directory.path)
    var events = 0
    for seed in UInt64(1)...80 {
      let result = Simulation.play(History(seed: seed), hookSets: hookSets)
      events += result.events
      #expect(result.complaints.isEmpty, "seed \(seed): contrib/simulate \(seed) 1 tells its story")
    }
    #expect(events > 3000)
  }

  @Test func aSeedGivesTheSameHistoryEachTime() throws {
    let directory = try TemporaryDirectory()
    let hookSets = HookSet.make(in: directory.path)
    for seed in UInt64(1)...5 {
      let results = (1...2).map { _ in Simulation.play(History(seed: seed), hookSets: hookSets) }
      #expect(results[0].messages == results[1].messages && results[0].passed == results[1].passed)
      #expect(!results[0].messages.isEmpty)
    }
  }
}
