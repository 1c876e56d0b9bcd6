import CSQLite
import CSimulatedDisk
import Testing

@testable import RunLedger

/// The simulated disk behaves as a real one does under SQLite.
@Suite struct SimulatedDiskTests {
  private let disk = SimulatedDisk()

  private func open(_ owner: Int32 = 0, readOnly: Bool = false) throws -> SQLiteDatabase {
    let database = try disk.as(owner) { try SQLiteDatabase(path: "d/a.db", readOnly: readOnly, vfs: disk.vfs) }
    database.busyTimeout = 0
    return database
  }

  /// A database in WAL mode with the numbers 1, 2, …
  private func fill(_ database: SQLiteDatabase, _ numbers: ClosedRange<Int>) throws {
    try database.begin(with: "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
    try database.query("CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, text TEXT)")
    for number in numbers { try add(number, to: database) }
  }

  private func add(_ number: Int, to database: SQLiteDatabase) throws {
    try database.query("INSERT INTO t VALUES(?, ?)", SQLiteValue(number), .text(String(repeating: "x", count: 700)))
  }

  private func numbers(_ database: SQLiteDatabase) throws -> [Int64] {
    try database.query("SELECT n FROM t ORDER BY n").compactMap { $0.first?.integer }
  }

  private func isBusy(_ error: any Error) -> Bool { (error as? SQLiteError)?.isBusy == true }

  private func checkSound(_ database: SQLiteDatabase, _ comment: Comment? = nil) throws {
    #expect(try database.query("PRAGMA integrity_check") == [[.text("ok")]], comment)
  }

  // MARK: Locks

  @Test func aWriterExcludesWritersButNoReaders() throws {
    let (first, second) = (try open(), try open())
    try fill(first, 1...3)
    try first.query("BEGIN IMMEDIATE")
    try add(4, to: first)
    #expect(try numbers(second) == [1, 2, 3])
    #expect { try second.query("BEGIN IMMEDIATE") } throws: { isBusy($0) }
    try first.query("COMMIT")
    #expect(try numbers(second) == [1, 2, 3, 4])
    // A reader sees what was there when it began, whatever others write.
    try second.query("BEGIN")
    #expect(try numbers(second).count == 4)
    try add(5, to: first)
    #expect(try numbers(second).count == 4)
    try second.query("COMMIT")
    #expect(try numbers(second).count == 5)
    #expect(disk.names == ["d/a.db", "d/a.db-wal"])
  }

  @Test func withARollbackJournalReadersAndWritersExcludeEachOther() throws {
    let (first, second) = (try open(), try open())
    try first.execute("CREATE TABLE t(n)")
    try second.query("BEGIN")
    #expect(try numbers(second).isEmpty)
    try first.query("BEGIN IMMEDIATE")
    try first.query("INSERT INTO t VALUES(1)")
    #expect(disk.names.contains("d/a.db-journal"))
    #expect { try first.query("COMMIT") } throws: { isBusy($0) }
    #expect { _ = try numbers(try open()) } throws: { isBusy($0) }
    try second.query("COMMIT")
    try first.query("COMMIT")
    #expect(try numbers(second) == [1])
    #expect(disk.names == ["d/a.db"])
  }

  @Test func theLastConnectionRemovesTheLog() throws {
    var first: SQLiteDatabase? = try open()
    let second = try open()
    try fill(try #require(first), 1...3)
    #expect(try numbers(second) == [1, 2, 3])
    first = nil
    #expect(disk.names == ["d/a.db", "d/a.db-wal"])
    _ = consume second
    #expect(disk.names == ["d/a.db"])
    #expect(try numbers(try open(readOnly: true)) == [1, 2, 3])
  }

  @Test func anotherProgramHoldsTheLock() throws {
    let (first, second) = (try open(), try open())
    try fill(first, 1...2)
    simdisk_hold(disk.raw, SIMDISK_HOLD_WRITING)
    #expect { try add(3, to: first) } throws: { isBusy($0) }
    #expect(try numbers(second) == [1, 2])
    simdisk_hold(disk.raw, SIMDISK_HOLD_ALL)
    #expect { _ = try numbers(second) } throws: { isBusy($0) }
    second.busyTimeout = 5000
    #expect { _ = try numbers(second) } throws: { isBusy($0) }
    #expect(simdisk_slept(disk.raw) > 4_000_000, "it has waited without taking time")
    simdisk_hold(disk.raw, SIMDISK_HOLD_NOTHING)
    try add(3, to: first)
    #expect(try numbers(second) == [1, 2, 3])
  }

  // MARK: Faults

  @Test func errorsAreThoseThatWereSet() throws {
    let database = try open()
    try fill(database, 1...2)
    for (kind, code) in [(SIMDISK_WRITE, SQLITE_FULL), (SIMDISK_WRITE, SQLITE_IOERR | (3 << 8))] {
      simdisk_fail(disk.raw, kind, 2, code, 1)
      #expect { try add(3, to: database) } throws: { ($0 as? SQLiteError)?.code == code }
      #expect(try numbers(database) == [1, 2])
    }
    try add(3, to: database)
    simdisk_fail(disk.raw, SIMDISK_SYNC, 1, SQLITE_IOERR | (4 << 8), 0)
    for _ in 1...2 { #expect(throws: SQLiteError.self) { try database.query("PRAGMA wal_checkpoint(TRUNCATE)") } }
    simdisk_clear_faults(disk.raw)
    try database.query("PRAGMA wal_checkpoint(TRUNCATE)")
    simdisk_fail(disk.raw, SIMDISK_OPEN, 1, SQLITE_CANTOPEN, 1)
    #expect { _ = try open() } throws: { ($0 as? SQLiteError)?.isReadOnly == true }
    simdisk_fail(disk.raw, SIMDISK_READ, 1, SQLITE_IOERR | (1 << 8), 1)
    #expect { _ = try numbers(try open()) } throws: { ($0 as? SQLiteError)?.spoilsConnection == true }
    #expect(try numbers(try open()) == [1, 2, 3])
  }

  @Test func aFullDiskTakesNothingUntilThereIsRoom() throws {
    let database = try open()
    try fill(database, 1...20)
    simdisk_limit(disk.raw, simdisk_used(disk.raw) + 20_000)
    var count = 20
    #expect {
      while count < 200 {
        try add(count + 1, to: database)
        count += 1
      }
    } throws: {
      ($0 as? SQLiteError)?.isFull == true
    }
    #expect(count > 20)
    #expect(simdisk_used(disk.raw) <= 300_000)
    #expect(try numbers(database).count == count)
    simdisk_limit(disk.raw, 0)
    try add(count + 1, to: database)
    try checkSound(database)
  }

  // MARK: Death

  /// Killed at each operation of some commits and a checkpoint: what was committed is there for the next, and for another process
  /// beside it, which goes on at once.
  @Test func aProcessThatIsKilledLosesNothingThatWasCommitted() throws {
    var deaths = 0
    for moment in UInt64(1)... {
      simdisk_reset(disk.raw)
      let other = try open(2)
      try fill(other, 1...3)
      var victim: SQLiteDatabase? = try open(1)
      var committed = try numbers(try #require(victim)).count
      simdisk_kill_after(disk.raw, 1, moment)
      do {
        for _ in 1...3 {
          try add(committed + 1, to: try #require(victim))
          committed += 1
        }
        try victim?.query("PRAGMA wal_checkpoint(RESTART)")
        try add(committed + 1, to: try #require(victim))
        committed += 1
      } catch { #expect(simdisk_is_dead(disk.raw, 1)) }
      let isDead = simdisk_is_dead(disk.raw, 1)
      victim = nil
      simdisk_forget(disk.raw, 1)
      let found = try numbers(other)
      // The commit that was under way may be complete.
      #expect(found.count == committed || (isDead && found.count == committed + 1), "\(moment)")
      try add(100, to: other)
      let next = try open(1)
      #expect(try numbers(next) == found + [100])
      try add(101, to: next)
      try checkSound(next, "\(moment)")
      #expect(try numbers(other).count == found.count + 2)
      if !isDead { break }
      deaths += 1
    }
    #expect(deaths > 60)
  }

  @Test func aDeadProcessHoldsItsLocksUntilItIsForgotten() throws {
    let (first, second) = (try open(1), try open(2))
    try fill(first, 1...2)
    try first.query("BEGIN IMMEDIATE")
    try add(3, to: first)
    simdisk_kill_after(disk.raw, 1, 1)
    #expect(throws: SQLiteError.self) { try first.query("COMMIT") }
    #expect { try add(3, to: second) } throws: { isBusy($0) }
    simdisk_forget(disk.raw, 1)
    try add(4, to: second)
    #expect(throws: SQLiteError.self) { try first.execute("SELECT * FROM t") }
    #expect(simdisk_operations(disk.raw, 1) == 0)
    let third = try open(1)
    #expect(try numbers(third) == [1, 2, 4])
    #expect(simdisk_operations(disk.raw, 1) > 5)
  }

  // MARK: Power

  @Test(arguments: [true, false]) func aPowerCutLosesOnlyWhatWasNotSynced(checkpoints: Bool) throws {
    var counts: Set<Int> = []
    for seed in UInt64(0)..<200 {
      simdisk_reset(disk.raw)
      let database = try open()
      try fill(database, 1...10)
      simdisk_sync_directory(disk.raw, "d")
      try database.query("PRAGMA wal_checkpoint")
      for number in 11...20 { try add(number, to: database) }
      if checkpoints { try database.query("PRAGMA wal_checkpoint") }
      #expect((simdisk_unsynced(disk.raw, "d/a.db-wal") == 0) == checkpoints)
      simdisk_power_cut(disk.raw, seed)
      #expect(throws: SQLiteError.self) { _ = try numbers(database) }
      #expect(simdisk_is_dead(disk.raw, 0))
      simdisk_forget(disk.raw, 0)
      let found = try numbers(try open())
      #expect(found == Array(1...Int64(found.count)))
      #expect(found.count >= (checkpoints ? 20 : 10))
      try checkSound(try open(), "seed \(seed)")
      counts.insert(found.count)
    }
    #expect(checkpoints ? counts == [20] : counts.count > 3)
  }

  @Test func aFileWhoseDirectoryWasNotSyncedMayBeGone() throws {
    var outcomes: Set<[String]> = []
    for seed in UInt64(0)..<64 {
      simdisk_reset(disk.raw)
      simdisk_load(disk.raw, "d/old", "old", 3)
      let database = try open()
      try database.execute("PRAGMA journal_mode=MEMORY; CREATE TABLE t(n)")
      simdisk_power_cut(disk.raw, seed)
      outcomes.insert(disk.names)
      #expect(disk.file("d/old") == Array("old".utf8))
    }
    #expect(outcomes == [["d/old"], ["d/old", "d/a.db"]])
  }

  @Test func aHistoryIsTheSameEachTime() throws {
    func play() throws -> [[UInt8]?] {
      simdisk_reset(disk.raw)
      simdisk_seed(disk.raw, 7)
      let database = try open()
      try fill(database, 1...30)
      #expect(try database.query("SELECT strftime('%Y', 'now')") == [[.text("2024")]])
      // The numbers in the head of the log come from the one generator of the process.
      let log = try #require(disk.file("d/a.db-wal"))
      #expect(log.count > 32)
      try database.query("PRAGMA wal_checkpoint(TRUNCATE)")
      return [disk.file("d/a.db"), disk.file("d/a.db-wal")]
    }
    #expect(try play() == play())
  }

  // MARK: The ledger

  @Test func theLedgerUsesOnlyTheSimulatedDisk() throws {
    let ledger = try Ledger(stateDirectory: "/nowhere/state", vfs: disk.vfs)
    try ledger.begin([.init(reader: "local", at: .from(17))])
    try ledger.makeDurable()
    #expect(ledger.isInPlace)
    #expect(ledger.problem() == nil)
    try ledger.reopen()
    #expect(try ledger.position(of: "local") == .from(17))
    #expect(disk.names == ["/nowhere/state/journalhook.db", "/nowhere/state/journalhook.db-wal"])
    #expect(simdisk_unsynced(disk.raw, "/nowhere/state/journalhook.db") == 0)
    let reader = try Ledger(stateDirectory: "/nowhere/state", readOnly: true, vfs: disk.vfs)
    #expect(try reader.position(of: "local") == .from(17))
    #expect(throws: LedgerError.self) { _ = try Ledger(stateDirectory: "/nowhere/else", readOnly: true, vfs: disk.vfs) }
  }

  /// While a process reads a ledger whose log is all in the database, no checkpoint can be made.
  @Test func theFirstPlaceIsOnTheDiskAlsoWhileAnotherProcessReads() throws {
    let log = "/nowhere/state/journalhook.db-wal"
    let ledger = try Ledger(stateDirectory: "/nowhere/state", vfs: disk.vfs)
    try ledger.database.query("PRAGMA wal_checkpoint(TRUNCATE)")
    let other = try disk.as(2) { try Ledger(stateDirectory: "/nowhere/state", readOnly: true, vfs: disk.vfs) }
    try other.database.query("BEGIN")
    #expect(try other.position(of: "local") == nil)
    try ledger.begin([.init(reader: "local", at: .from(17))])
    #expect(simdisk_unsynced(disk.raw, log) > 0)
    try ledger.makeDurable()
    #expect(simdisk_unsynced(disk.raw, log) == 0)
    // What follows does not wait for the disk.
    try ledger.begin([.init(reader: "local", at: .from(18))])
    #expect(simdisk_unsynced(disk.raw, log) > 0)
    try other.database.query("COMMIT")
  }
}
