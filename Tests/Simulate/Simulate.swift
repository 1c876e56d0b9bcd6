internal import Glibc
internal import Simulation

/// Plays histories from a range of seeds; contrib/simulate explains it. With `--first-failure` it ends at the first one that fails,
/// and prints its seed and its complaints alone.
@main struct Simulate {
  static func main() {
    let arguments = CommandLine.arguments.dropFirst().compactMap { UInt64($0) }
    guard arguments.count == 2 else {
      print("simulate FIRST COUNT [--first-failure]")
      exit(2)
    }
    var template = Array((geteuid() == 0 ? "/run" : "/run/user/\(getuid())").utf8 + Array("/simulate-XXXXXX\0".utf8))
      .map { CChar(bitPattern: $0) }
    guard mkdtemp(&template) != nil else {
      perror("mkdtemp")
      exit(2)
    }
    let directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    let hookSets = HookSet.make(in: directory)
    let endsAtFailure = CommandLine.arguments.contains("--first-failure")
    var failed = 0
    var totals = (events: 0, runs: 0, passed: UInt64(0))
    let begin = time(nil)
    for seed in arguments[0]..<arguments[0] + arguments[1] {
      let history = History(seed: seed)
      let result = Simulation.play(history, hookSets: hookSets)
      totals.events += result.events
      totals.runs += result.runs
      totals.passed += result.passed
      if result.complaints.isEmpty { continue }
      failed += 1
      if endsAtFailure {
        print("seed \(seed)")
        for complaint in result.complaints { print("  ✘ \(complaint)") }
        HookSet.remove(hookSets, in: directory)
        exit(1)
      }
      if failed > 5 { continue }
      let small = Simulation.shrink(history, hookSets: hookSets)
      print("seed \(seed): \(history.steps.count) steps, smaller: \(small.steps.count)")
      for step in small.steps { print("  \(step)") }
      let again = Simulation.play(small, hookSets: hookSets)
      for complaint in again.complaints.prefix(8) { print("  ✘ \(complaint)") }
      for line in again.story { print("    \(line)") }
      for message in again.messages.suffix(40) { print("    \(message)") }
    }
    let seconds = max(1, time(nil) - begin)
    print(
      "\(arguments[1]) seeds, \(failed) failed; \(totals.events) events, \(totals.runs) runs, "
        + "\(totals.passed / 3_600_000_000) hours, \(seconds) s")
    HookSet.remove(hookSets, in: directory)
    exit(failed == 0 ? 0 : 1)
  }
}
