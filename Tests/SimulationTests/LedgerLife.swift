import CSimulatedDisk
import Hooks
import Lifecycle
import Runs
import Systemd

@testable import RunLedger

/// The life of a ledger on a simulated disk, as `follow` and a replay lead it. The disk records it, with a mark after each
/// transaction.
///
/// The state directory begins empty, or with what was loaded before `start`.
final class LedgerLife {
  /// A fault that is planted, to see that it is found.
  enum Fault {
    /// The cursor is committed before the runs, in a transaction of its own.
    case cursorFirst
    /// The database does not wait for the disk.
    case synchronousOff
  }

  static let directory = "/state"
  static let database = "/state/journalhook.db"
  /// The hook that answers each event.
  static let hook = "answers-all"

  let disk = SimulatedDisk()
  /// What is in the ledger at each mark.
  private(set) var contents: [LedgerContent] = []
  /// The marks at which the ledger has said that all is on the disk.
  private(set) var promises: Set<Int> = []
  private let fault: Fault?
  private let reader = SimulatedDisk()
  private var opened: Ledger?
  /// The number of the last event that was read.
  var last = 0

  init(fault: Fault? = nil) { self.fault = fault }

  /// The ledger of `follow`.
  private var ledger: Ledger {
    guard let opened else { fatalError("follow has not started") }
    return opened
  }

  /// Does something that is one transaction, and marks its end.
  private func step(_ body: () throws -> Void) throws {
    try body()
    simdisk_mark(disk.raw, Int64(contents.count))
    simdisk_copy(reader.raw, disk.raw)
    let copy = try Ledger(stateDirectory: LedgerLife.directory, vfs: reader.vfs)
    contents.append(try LedgerContent(copy.database))
  }

  private func promise(_ body: () throws -> Void) throws {
    promises.insert(contents.count)
    try step(body)
  }

  // MARK: Parts of a life

  /// Whether the state directory was empty in the beginning.
  private(set) var isNew = false

  /// Everything from now on is recorded.
  func record() {
    isNew = disk.names.isEmpty
    simdisk_record(disk.raw, true)
  }

  /// `follow` starts.
  func start() throws {
    try step {
      let new = try disk.as(1) { try Ledger(stateDirectory: LedgerLife.directory, vfs: disk.vfs) }
      // SQLite's 1000 pages would be more than a short life writes.
      try new.database.execute("PRAGMA wal_autocheckpoint=24")
      if fault == .synchronousOff { try new.database.execute("PRAGMA synchronous=OFF") }
      opened = new
    }
  }

  /// `follow` ends in order: SQLite removes the log.
  func end() { opened = nil }

  /// `follow` is killed.
  func kill() {
    simdisk_kill_after(disk.raw, 1, 1)
    opened = nil
    simdisk_forget(disk.raw, 1)
  }

  /// The first place in the journal.
  func takeFirstPlace() throws {
    try step { try ledger.begin([.init(reader: "local", at: .from(EventNumber.time(0)))]) }
    try makeDurable()
  }

  func makeDurable() throws {
    try promise { if fault != .synchronousOff { try ledger.makeDurable() } }
  }

  /// What `follow` does before it reads.
  func recover(boot: String) throws {
    let now = DueTime(monotonic: 1000, realtime: EventNumber.time(last))
    try step { try ledger.startClock(boot: boot, now: now) }
    try step { try ledger.forgetContainers(owner: RunOwner.follow) }
    try step { _ = try ledger.interruptRunning(owner: RunOwner.follow, now: now.realtime) }
    let item = HookInventory.Item(path: "/etc/journalhook/hooks.d/\(LedgerLife.hook)", digest: boot)
    try step { try ledger.note(HookInventory([LedgerLife.hook: item])) }
  }

  /// The next events, read as one batch. Each has a run; `change` says how it is planned.
  @discardableResult
  func read(
    _ count: Int = 1, _ kind: LifecycleEvent.Kind = .stopped, length: Int = 200, isCatchingUp: Bool = false,
    change: (inout PlannedRun) -> Void = { _ in }
  ) throws -> [Run] {
    let numbers = last + 1...last + count
    last += count
    var step = LedgerLife.plan(numbers, kind, LedgerLife.hook, .live, length: length)
    for index in step.planned.indices { change(&step.planned[index]) }
    step.isCatchingUp = isCatchingUp
    step.reader = "local"
    step.cursor = EventNumber.cursor(last)
    let key = RateLimiter.Key(hook: LedgerLife.hook, machine: "m", units: "a")
    step.rateLimits = [key: RateLimiter.Window(start: 1, interval: 10, count: UInt32(last), waiting: nil)]
    var runs: [Run] = []
    try self.step {
      if fault == .cursorFirst, let cursor = step.cursor.flatMap({ JournalCursor($0) }) {
        try ledger.begin([.init(reader: "local", at: .after(cursor))])
        step.cursor = nil
      }
      runs = try ledger.commit(step, owner: RunOwner.follow, now: EventNumber.time(last)).runs
    }
    return runs
  }

  private static func plan(
    _ numbers: ClosedRange<Int>, _ kind: LifecycleEvent.Kind, _ hook: String, _ mode: Run.Mode, length: Int
  ) -> Ledger.Step {
    let events = numbers.map { number in
      LifecycleEvent(
        id: "event \(number)", kind: kind, unit: "a\(number % 3).service",
        message: String(repeating: "x", count: length), realtime: EventNumber.time(number),
        monotonic: UInt64(number) * 1_000_000, boot: "b", machine: "m", source: .journal)
    }
    return Ledger.Step(planned: events.map { PlannedRun(event: $0, hook: hook, mode: mode) }, events: events)
  }

  /// A run begins.
  func begin(_ run: Run) throws {
    try step {
      _ = try ledger.begin(run, container: "/runs/\(run.id)", owner: RunOwner.follow, now: EventNumber.time(last))
    }
  }

  /// A run ends.
  func finish(_ run: Run, _ state: Run.State = .succeeded, _ consequence: RunConsequence = .final) throws {
    let outcome = RunMachine.Outcome(state: state, exit: .exited(state == .succeeded ? 0 : 1))
    try step {
      try ledger.record(outcome, of: run, consequence, owner: RunOwner.follow, now: EventNumber.time(last))
    }
    try step { try ledger.release(run) }
  }

  /// The runs whose time has come.
  func takeDue() throws -> [Run] {
    var runs: [Run] = []
    try step { runs = try ledger.takeDue(owner: RunOwner.follow, now: .max >> 1, limit: 100) }
    return runs
  }

  func releaseHeld() throws { try step { try ledger.releaseHeld(owner: RunOwner.follow) } }

  func noteGap() throws {
    let gap = Gap(.vacuumed, since: EventNumber.time(0), until: EventNumber.time(last))
    try step { try ledger.note(.init(reader: "local", machine: "m", gap: gap, noticed: EventNumber.time(last))) }
  }

  /// Finished runs are removed, as far as there are more than some.
  func removeRuns(beyond most: UInt32) throws {
    var keep = HistoryKeep()
    keep.runs = most
    try step { _ = try ledger.removeRuns(beyond: keep, after: 0, limit: 1000, now: EventNumber.time(last)) }
  }

  /// A replay of some events runs beside `follow`, does the first of its runs, and gives up the others.
  func replay(_ numbers: ClosedRange<Int>) throws {
    let owner = "replay-2-2"
    var second: Ledger? = try disk.as(2) { try Ledger(stateDirectory: LedgerLife.directory, vfs: disk.vfs) }
    var runs: [Run] = []
    try step {
      let step = LedgerLife.plan(numbers, .stopped, "replayed", .replay, length: 100)
      runs = try second?.commit(step, owner: owner, now: EventNumber.time(last)).runs ?? []
    }
    guard let run = runs.first else { fatalError("the replay has no runs") }
    try step { _ = try second?.begin(run, container: nil, owner: owner, now: EventNumber.time(last)) }
    try read()
    try step {
      _ = try second?.record(
        .init(state: .succeeded, exit: .exited(0)), of: run, owner: owner, now: EventNumber.time(last))
    }
    try step { try second?.dropPending(owner: owner) }
    second = nil
  }
}
