import CSimulatedDisk
import Lifecycle
import Runs

@testable import RunLedger

/// Lives with all that a ledger goes through.
extension LedgerLife {
  /// From an empty state directory over a replay, a kill and a second start to an end in order and a third start.
  static func whole(fault: Fault? = nil) throws -> LedgerLife {
    let life = LedgerLife(fault: fault)
    life.record()
    try life.start()
    try life.takeFirstPlace()
    try life.recover(boot: "first")
    try life.goOn()
    try life.replay(3...6)
    try life.read(12, length: 1500)
    try life.removeRuns(beyond: 12)
    try life.begin(life.read()[0])
    life.kill()
    try life.start()
    try life.recover(boot: "first")
    try life.read(2)
    try life.makeDurable()
    try life.read(3)
    life.end()
    try life.start()
    try life.recover(boot: "second")
    for run in try life.read(2) {
      try life.begin(run)
      try life.finish(run)
    }
    life.end()
    return life
  }

  /// Runs that succeed, fail, are tried again, are answered, wait until the unit has settled, and are held.
  private func goOn() throws {
    for run in try read(2) {
      try begin(run)
      try finish(run)
    }
    let failing = try read()[0]
    try begin(failing)
    let later = DueTime(monotonic: 5000, realtime: EventNumber.time(5))
    try finish(failing, .failed, .retry(after: 1, due: later))
    guard let retry = try takeDue().first else { fatalError("there is no retry") }
    try begin(retry)
    try finish(retry, .failed, .mended(by: PlannedRun(event: retry.event, hook: "answers-failures", mode: .live)))
    try read {
      $0.due = later
      $0.settle = 1_000_000
    }
    for run in try takeDue() {
      try begin(run)
      try finish(run)
    }
    try read(3, isCatchingUp: true) { $0.isHeld = true }
    try read(3, .started, isCatchingUp: true) { $0.isHeld = true }
    try releaseHeld()
    try noteGap()
  }

  /// A ledger of an earlier version, which ended in order, is migrated and used.
  static func migrated(from version: Int64) throws -> (life: LedgerLife, old: [UInt8]) {
    let life = LedgerLife()
    do {
      let old = try SQLiteDatabase(path: database, vfs: life.disk.vfs)
      try old.begin(with: "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
      try LedgerSchema.migrate(old, to: version)
      for number in 1...20 { try add(number, to: old) }
      try old.query("INSERT INTO cursors VALUES('local', ?)", .text(EventNumber.cursor(20)))
    }
    guard let file = life.disk.file(database) else { fatalError("there is no old ledger") }
    simdisk_reset(life.disk.raw)
    simdisk_load(life.disk.raw, database, file, file.count)
    life.last = 20
    life.record()
    try life.start()
    try life.recover(boot: "first")
    try life.makeDurable()
    try life.read(2)
    life.end()
    return (life, file)
  }

  private static func add(_ number: Int, to old: SQLiteDatabase) throws {
    try old.query(
      """
      INSERT INTO runs(event_id, hook, unit, event, event_json, event_time, event_monotonic, manager, mode, owner, state,
        created) VALUES(?, ?, 'a.service', 'stopped', '{"machine":"m","restart":true,"auto":false}', ?, 1, 'system', 'live',
        'follow', ?, 7)
      """, .text("event \(number)"), .text(hook), SQLiteValue(EventNumber.time(number)),
      .text(number % 4 == 0 ? "pending" : "succeeded"))
  }
}
