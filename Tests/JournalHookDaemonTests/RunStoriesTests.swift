import Glibc
import Systemd
import TestSupport
import Testing

@testable import EventReading
@testable import HookFiles
@testable import Hooks
@testable import JournalHookDaemon
@testable import Lifecycle
@testable import Processes
@testable import RunLedger
@testable import Runs
@testable import TrustedFiles

/// Stories that chance has made, over a real ledger: whatever happens, each run is done once, and those of a unit in their order.
@Suite struct RunStoriesTests {
  /// What may happen in a story, besides events, outcomes and time.
  enum Kind: Sendable {
    /// Units go down and up, so that runs are superseded; journalhook is killed.
    case turns
    /// Units only go down. The ledger refuses, hooks cannot be opened, attempts cannot begin; journalhook is killed.
    case faults
    /// All of that at once; and what an attempt has left behind takes its time to be ended.
    case everything
  }

  @Test(arguments: [Kind.turns, .faults], 0..<25 as Range<UInt64>)
  func noRunIsLostOrDoneTwice(_ kind: Kind, _ seed: UInt64) throws {
    #expect(try Story.faults(kind, seed) == [], "seed \(seed)")
  }

  @Test(arguments: 0..<25 as Range<UInt64>) func noRunIsLostIfEverythingHappensAtOnce(_ seed: UInt64) throws {
    let faults = try Story.faults(.everything, seed)
    #expect(faults == [], "seed \(seed)")
  }
}

/// Numbers that are the same each time (SplitMix64, which needs no more than this).
private struct Chance {
  var state: UInt64

  mutating func below(_ limit: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return Int((bits ^ (bits >> 31)) % UInt64(limit))
  }
}

private final class Story {
  let kind: RunStoriesTests.Kind
  /// What must not happen and did.
  private(set) var faults: [String] = []
  private let directory: TemporaryDirectory
  private let ledger: Ledger
  private let reporter: Reporter
  private let timers = StandingTimers()
  private let host = FakeRunHost()
  private var executor: RunExecutor
  private var chance: Chance
  private var eventCount = 0
  private var isRefusing = false
  /// The attempts that have begun and have no outcome.
  private var active: [FakeRunAttempt] = []
  /// The attempts that have an outcome, and of which something is left until a time.
  private var leaving: [(attempt: FakeRunAttempt, time: UInt64)] = []
  /// The runs whose outcome stands.
  private var done: [Int64] = []
  private let units = ["a.service", "b.service", "c.service"]

  init(_ kind: RunStoriesTests.Kind, _ seed: UInt64) throws {
    self.kind = kind
    chance = Chance(state: seed)
    directory = try TemporaryDirectory()
    ledger = try Ledger(stateDirectory: directory.path)
    reporter = Reporter(
      loop: try EventLoop(), journal: JournalWriter(path: "\(directory.path)/no-socket"))
    func hook(_ change: (inout HookDefinition) -> Void) -> HookDefinition {
      var definition = HookDefinition()
      change(&definition)
      return definition
    }
    host.definitions = [
      "plain": hook { _ in },
      "retried": hook { $0.retryCount = 2 },
      "settling": hook {
        $0.settle = .seconds(2)
        $0.retryCount = 1
      },
      "parallel": hook { $0.parallel = true },
      "answered": hook { $0.onHookFailure = "answer" },
      "answer": hook { $0.retryCount = 1 },
    ]
    executor = RunExecutor(
      owner: RunOwner.follow, timers: timers, ledger: ledger, host: host, reporter: reporter, jobs: 3,
      boot: CurrentBoot(id: "b"))
    host.onBegin = { [unowned self] in began($0) }
    try restart()
  }

  /// What goes wrong in a story.
  static func faults(_ kind: RunStoriesTests.Kind, _ seed: UInt64) throws -> [String] {
    let story = try Story(kind, seed)
    for _ in 0..<150 { try story.happen() }
    try story.finish()
    return story.faults
  }

  // MARK: What must hold

  /// The series of the runs that have begun.
  private var series: [Int64: RunSeries] = [:]

  private func began(_ attempt: FakeRunAttempt) {
    let run = attempt.run
    if done.contains(run.id) { faults.append("run \(run.id) of \(run.hook) is done twice") }
    if active.count >= executor.jobs { faults.append("more than \(executor.jobs) runs are under way") }
    for other in active where other.run.event.unit == run.event.unit {
      if !attempt.definition.parallel, !other.definition.parallel {
        faults.append("runs \(other.run.id) and \(run.id) of \(run.event.unit) are under way at once")
      }
    }
    // Later runs of the series have to wait for it.
    if let last = done.last(where: { $0 > run.id && series[$0] == RunSeries(run) }) {
      faults.append("run \(run.id) of \(run.hook) is done after run \(last)")
    }
    series[run.id] = RunSeries(run)
    let row = try? ledger.database.query("SELECT state FROM runs WHERE id = ?", .integer(run.id)).first
    if row?[0] != .text("running") { faults.append("run \(run.id) begins and is not written down as running") }
    active.append(attempt)
  }

  // MARK: What happens

  func happen() throws {
    switch chance.below(12) {
    case 0...3: if !isRefusing { try event() }
    case 4...7: if !active.isEmpty { end(active.remove(at: chance.below(active.count)), fails: chance.below(2) == 0) }
    case 8, 9: timers.advance(by: UInt64(chance.below(2_500_000)))
    case 10:
      if chance.below(8) == 0 { try restart() }
    default: if kind != .turns { try fail() }
    }
    while let first = leaving.first, first.time <= timers.monotonic {
      leaving.removeFirst()
      first.attempt.onRelease?()
      timers.advance()
    }
  }

  private func event() throws {
    eventCount += 1
    // Seldom among faults: an event that supersedes a lost run hides that it was lost.
    let isUp = kind != .faults && chance.below(kind == .turns ? 2 : 8) == 0
    let event = LifecycleEvent(
      id: "\(eventCount)", kind: isUp ? .started : .stopped, unit: units[chance.below(units.count)],
      realtime: timers.realtime, monotonic: timers.monotonic, boot: "b", machine: "m")
    let hooks = ["answered", "parallel", "plain", "retried", "settling"].filter { _ in chance.below(2) == 0 }
    let planned = hooks.map { name in
      var run = PlannedRun(event: event, hook: name, mode: .live)
      run.isParallel = name == "parallel"
      if name == "settling" {
        run.settle = 2_000_000
        run.due = DueTime(2_000_000, after: event, boot: "b", now: timers.now)
      }
      return run
    }
    let commit = try ledger.commit(
      Ledger.Step(planned: planned, events: [event]), owner: RunOwner.follow, now: timers.realtime)
    executor.supersede(commit.superseded)
    executor.add(commit.runs)
    if commit.waiting > 0 { executor.due.schedule() }
  }

  private func end(_ attempt: FakeRunAttempt, fails: Bool) {
    let definition = attempt.definition
    if !fails || attempt.run.retries >= definition.retryCount { done.append(attempt.run.id) }
    attempt.onOutcome?(.init(state: fails ? .failed : .succeeded, exit: .exited(fails ? 1 : 0)))
    if kind == .everything, chance.below(3) == 0 {
      leaving.append((attempt, timers.monotonic + 5_000_000))
    } else {
      attempt.onRelease?()
    }
    timers.advance()
  }

  /// Something does not work, or works again.
  private func fail() throws {
    switch chance.below(3) {
    case 0:
      isRefusing.toggle()
      try ledger.database.execute("PRAGMA query_only=\(isRefusing ? "ON" : "OFF")")
    case 1:
      let name = ["plain", "retried", "answer"][chance.below(3)]
      host.errors[name] = host.errors[name] == nil ? HookError(.temporary, "Too many open files") : nil
    default: host.beginErrors.append(SpawnError(step: .create, code: EAGAIN))
    }
  }

  /// journalhook is killed, and started again.
  private func restart() throws {
    if isRefusing { try heal() }
    executor.drain()
    // What it has not written down is forgotten, and what it has begun is cut off.
    for attempt in active + leaving.map(\.attempt) {
      attempt.onOutcome = nil
      attempt.onRelease = nil
    }
    (active, leaving) = ([], [])
    // An outcome that the ledger has refused until now is lost, and its run is done again.
    let ended = try ledger.database.query("SELECT id FROM runs WHERE NOT open").compactMap { $0[0].integer }
    done.removeAll { !ended.contains($0) }
    executor = RunExecutor(
      owner: RunOwner.follow, timers: timers, ledger: ledger, host: host, reporter: reporter, jobs: 3,
      boot: CurrentBoot(id: "b"))
    executor.callbacks.onProgress = { [unowned self] in executor.due.scheduleNext() }
    try ledger.forgetContainers(owner: RunOwner.follow)
    let interrupted = try ledger.interruptRunning(owner: RunOwner.follow, now: timers.realtime)
    try executor.answer(failures: interrupted.filter { $0.what == .gaveUp }.map(\.run))
    try executor.due.restore(boot: "b")
    executor.add(try ledger.openRuns(owner: RunOwner.follow, after: 0, limit: .max))
  }

  private func heal() throws {
    isRefusing = false
    try ledger.database.execute("PRAGMA query_only=OFF")
  }

  /// All works again, and every run succeeds: in the end nothing is left to be done.
  func finish() throws {
    try heal()
    host.errors = [:]
    host.beginErrors = []
    for _ in 0..<2000 where !executor.isIdle || executor.due.isWaiting {
      timers.advance(by: 500_000)
      for (attempt, _) in leaving { attempt.onRelease?() }
      leaving = []
      for attempt in active {
        active.removeAll { $0 === attempt }
        end(attempt, fails: false)
      }
    }
    let left = try ledger.database.query("SELECT id, hook, state, wait, due FROM runs WHERE open ORDER BY id")
    faults += left.map { "left: \($0)" }
    if !executor.isIdle { faults.append("the executor is not idle") }
    if !active.isEmpty { faults.append("attempts are under way") }
  }
}
