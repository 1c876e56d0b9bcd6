import SimulatedSystem
import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// What must hold whatever a journal contains.
@Suite struct InvariantTests {
  /// How many entries each seed makes.
  static let length = 500_000

  /// The same two each time, so that a change is what makes a difference. `JOURNALHOOK_SEED` names another, or is `random`.
  static let seeds: [UInt64] = {
    let asked = environment("JOURNALHOOK_SEED")
    let first = asked == "random" ? UInt64.random(in: 0...999_999) : asked.flatMap { UInt64($0) } ?? 1
    return [first, first &+ 1]
  }()

  @Test(arguments: seeds) func holdWhateverComes(_ seed: UInt64) {
    var generator = EntryGenerator(seed: seed)
    var tracker = LifecycleTracker()
    var units: [LifecycleTracker.Key: UnitInvariants] = [:]
    for index in 0..<Self.length {
      for event in tracker.process(generator.next()) {
        guard let violation = units[event.key, default: UnitInvariants()].check(event) else { continue }
        var again = EntryGenerator(seed: seed)
        let entries = (0...index).map { _ in again.next() }.filter { $0.machine == event.machine }.suffix(2000)
        let shortest = Self.shortest(Array(entries)).joined(separator: "\n")
        Issue.record("\(violation); JOURNALHOOK_SEED=\(seed), entry \(index):\n\(shortest)")
        return
      }
    }
    #expect(tracker.units.count <= LifecycleTracker.capacity)
  }

  @Test(arguments: seeds) func neitherFlushesNorARestartChangeWhatIsTold(_ seed: UInt64) {
    var generator = EntryGenerator(seed: seed)
    var numbers = SeededNumbers(seed: ~seed)
    var plain = LifecycleTracker()
    var disturbed = LifecycleTracker()
    var told: (plain: [LifecycleTracker.Key: Int], disturbed: [LifecycleTracker.Key: Int]) = ([:], [:])
    var clocks: [String: (boot: String, monotonic: UInt64)] = [:]

    for _ in 0..<Self.length / 10 {
      let entry = generator.next()
      for event in plain.process(entry) { told.plain[event.key, default: 0].tell(event) }
      if numbers.isOne(in: 3), let clock = clocks[entry.machine], clock.boot == entry.boot,
        clock.monotonic <= entry.monotonic
      {
        let now = UInt64.random(in: clock.monotonic...entry.monotonic, using: &numbers)
        for event in disturbed.flush(machine: entry.machine, until: now) {
          told.disturbed[event.key, default: 0].tell(event)
        }
      }
      if numbers.isOne(in: 20) { disturbed = LifecycleTracker(units: disturbed.units, boots: disturbed.boots) }
      for event in disturbed.process(entry) { told.disturbed[event.key, default: 0].tell(event) }
      clocks[entry.machine] = (entry.boot, entry.monotonic)
    }
    for event in plain.flushAll() { told.plain[event.key, default: 0].tell(event) }
    for event in disturbed.flushAll() { told.disturbed[event.key, default: 0].tell(event) }
    #expect(told.plain == told.disturbed, "JOURNALHOOK_SEED=\(seed)")
  }

  /// The fewest of a machine's last entries that still break something, as text.
  private static func shortest(_ entries: [ManagerEntry]) -> [String] {
    func breaks(_ entries: [ManagerEntry]) -> Bool {
      var tracker = LifecycleTracker()
      var units: [LifecycleTracker.Key: UnitInvariants] = [:]
      return entries.contains { entry in
        tracker.process(entry).contains { units[$0.key, default: UnitInvariants()].check($0) != nil }
      }
    }
    var left = entries
    var size = left.count
    while size > 0 {
      var start = 0
      while start < left.count {
        var fewer = left
        fewer.removeSubrange(start..<min(start + size, left.count))
        if breaks(fewer) { left = fewer } else { start += size }
      }
      size /= 2
    }
    return left.map { entry in
      let job = entry.job.map { "\($0.id.map(String.init) ?? "-")/\($0.type ?? "-")/\($0.result ?? "-")" } ?? "-"
      return "\(entry.monotonic) \(entry.boot) \(entry.unit) \(entry.kind) inv=\(entry.invocation ?? "-") job=\(job)"
        + " result=\(entry.result ?? "-")"
    }
  }

  @Test func memoryStaysBoundedWhenNothingIsSeenToEnd() {
    var tracker = LifecycleTracker()
    var told = 0
    var generator = EntryGenerator(seed: 1)
    for index in 0..<12_000 {
      var entry = generator.next()
      entry.machine = "m"
      entry.boot = "b"
      entry.unit = "run-\(index).service"
      told += tracker.process(entry).count
      if tracker.units.count > LifecycleTracker.capacity { Issue.record("too many units at \(index)") }
    }
    #expect(told > 0)
  }
}

/// What was told of a unit, and what may follow.
struct UnitInvariants {
  private enum Direction { case none, starting, up, down }

  private var boot = ""
  private var turn = Direction.none
  private var invocation: String?
  private var stoppedInvocations: Set<String> = []
  private var failedInvocations: Set<String> = []
  private var startedInvocations: Set<String> = []
  private var last: LifecycleEvent.Kind?
  private var owesRestart = false
  private var hasStopped = false

  /// What an event breaks; nil when all is well.
  mutating func check(_ event: LifecycleEvent) -> String? {
    if event.boot != boot {
      if owesRestart { return "a restart is left open at the boot's end" }
      self = UnitInvariants(boot: event.boot)
    }
    defer {
      last = event.kind
      invocation = event.invocation ?? invocation
    }
    if event.invocation != nil, event.invocation != invocation { turn = .none }
    if event.source == .restartFailed {
      guard event.kind == .stopped, owesRestart, event.restartJob == false else {
        return "a restart failed that was none"
      }
      owesRestart = false
      return nil
    }
    switch event.kind {
    case .starting: turn = .starting
    case .reloading, .reloaded, .reloadFailed, .stopping: turn = .up
    case .started:
      guard event.restartJob == owesRestart else { return "started and its stopped do not agree about a restart" }
      if let id = event.invocation, !startedInvocations.insert(id).inserted { return "started twice" }
      owesRestart = false
      turn = .up
    case .stopped:
      if owesRestart { return "stopped while a restart is open" }
      if turn == .starting || turn == .down, event.invocation == invocation { return "stopped, but was not up" }
      if let id = event.invocation, !stoppedInvocations.insert(id).inserted { return "stopped twice" }
      owesRestart = event.restartJob == true
      hasStopped = true
      turn = .down
    case .failed:
      if let id = event.invocation, !failedInvocations.insert(id).inserted { return "failed twice" }
    case .restarted:
      guard last == .started, hasStopped else { return "restarted without stopped and started" }
      hasStopped = false
    default: break
    }
    return nil
  }

  init() {}

  private init(boot: String) { self.boot = boot }
}

extension LifecycleEvent {
  fileprivate var key: LifecycleTracker.Key { .init(machine: machine, manager: manager, unit: unit) }
}

extension Int {
  /// Adds an event to a digest of a sequence.
  fileprivate mutating func tell(_ event: LifecycleEvent) {
    var hasher = Hasher()
    hasher.combine(self)
    hasher.combine(event.id)
    hasher.combine(event.result)
    hasher.combine(event.restartJob)
    hasher.combine(event.autoRestart)
    hasher.combine(event.monotonic)
    self = hasher.finalize()
  }
}
