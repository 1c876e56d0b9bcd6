import Glibc
import SimulatedSystem

/// The power is cut at each moment of a life, and each state that the disk may be in then is opened.
struct PowerCuts {
  /// How many states are taken where there are too many for all of them.
  var sample = 16
  /// Up to how many uncertain changes all states are taken.
  var limit = 6

  /// What was found.
  struct Findings {
    /// How many states were opened, each of them once.
    var opened = 0
    /// How many times it was judged what is in a state.
    var judged = 0
    /// How many moments all states were taken of, and of how many some.
    var exhausted = 0
    var sampled = 0
    /// How many ledgers were set aside before anything was on the disk for certain.
    var setAsideBeforePromise = 0
    /// By how many transactions a state was behind the last one.
    var mostLost = 0
    /// What must not be, with the number of states.
    var faults: [String: Int] = [:]

    var text: String {
      let faults = faults.sorted { $0.key < $1.key }.map { "\n  \($0.value) times: \($0.key)" }.joined()
      return "\(opened) states were opened, \(judged) judged; all states at \(exhausted) moments, some at \(sampled); "
        + "\(setAsideBeforePromise) set aside before the first place was on the disk; "
        + "at most \(mostLost) transactions lost\(faults)"
    }
  }

  /// - Parameters:
  ///   - platter: what is on the disk in the beginning.
  ///   - record: what has happened on the disk; that of the life, if it is nil.
  func find(
    in life: LedgerLife, from platter: Platter = Platter(), record: [DiskEvent]? = nil, seed: UInt64 = 1
  ) throws -> Findings {
    var judge = try PowerCutJudge(life, platter)
    var generator = SeededNumbers(seed: seed)
    func cut() throws {
      if judge.platter.uncertain <= limit { judge.findings.exhausted += 1 } else { judge.findings.sampled += 1 }
      var states: [Platter.State] = []
      judge.platter.eachState(sample: sample, limit: limit, using: &generator) { states.append($0) }
      for state in states { try judge.judge(state) }
    }
    for event in record ?? life.disk.record {
      switch event {
      // Until a sync more and more can be on the disk. What was possible before is so still.
      case .sync, .syncDirectory:
        try cut()
        judge.platter.apply(event)
      case .mark(let mark):
        judge.platter.apply(event)
        // The ledger makes this file with its tables, beside the simulated disk.
        if mark == 0, life.isNew { judge.platter.touch("\(LedgerLife.database)-complete") }
        try cut()
      default: judge.platter.apply(event)
      }
    }
    try cut()
    return judge.findings
  }
}
