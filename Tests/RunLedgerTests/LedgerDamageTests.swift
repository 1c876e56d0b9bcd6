import Glibc
import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import RunLedger
@testable import Runs

/// Damaged ledgers.
@Suite struct LedgerDamageTests {
  let directory: TemporaryDirectory
  private var database: String { "\(directory.path)/journalhook.db" }

  init() throws { directory = try TemporaryDirectory() }

  private let cursor =
    "s=98517bc85f8742f480491d9af697580e;i=1;b=e49253355d24485eb6bf332ea39713fe;m=4c2a04b5;t=660e306346465;"
    + "x=9364e7d377f1afdc"

  /// Commits events with these numbers, each with one run.
  private func commit(_ numbers: ClosedRange<Int>, to ledger: Ledger) throws {
    for number in numbers {
      let event = LifecycleEvent(
        id: "\(number)", kind: .stopped, unit: "a\(number).service", message: String(repeating: "x", count: 300),
        realtime: 1, monotonic: 1, boot: "b", machine: "m", manager: .system, source: .journal)
      var step = Ledger.Step(planned: [PlannedRun(event: event, hook: "x", mode: .live)], events: [event])
      step.cursor = cursor
      step.reader = "local"
      _ = try ledger.commit(step, owner: "follow", now: 1)
    }
  }

  private func isSetAside(_ ledger: Ledger) throws -> Bool {
    guard let damage = ledger.damage else { return false }
    if let path = damage.setAside {
      #expect(access(path, F_OK) == 0)
    } else {
      #expect(damage.reason == "the file is empty", "an empty file holds nothing to keep")
    }
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 10).isEmpty)
    // The damage is found again until its mark is removed.
    #expect(access("\(database)-damaged", F_OK) == 0)
    try ledger.recordLoss(damage)
    ledger.removeDamageMark()
    #expect(try ledger.horizon() == damage.since)
    try commit(1...1, to: ledger)
    // Run numbers are not used again.
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 10).allSatisfy { $0.id > 1_000_000_000 })
    #expect(try Ledger.openForFollowing(stateDirectory: directory.path).damage == nil)
    return true
  }

  @Test func whatCannotBeLookedUpIsNotTakenForRemoved() throws {
    let path = directory.directory("state")
    let ledger = try Ledger(stateDirectory: path)
    #expect(ledger.isInPlace)
    #expect(rename(path, path + ".moved") == 0)
    #expect(!ledger.isInPlace)
    // ELOOP, which here stands for the errors of a disk.
    _ = directory.link("state", to: "state")
    #expect(ledger.isInPlace)
  }

  /// A change to the file of a ledger with 300 runs, which are all in the database file.
  enum Harm: CaseIterable {
    case emptied, truncated, firstPageZeroed, garbage, rootPagesZeroed, firstPageGarbled
  }

  @Test(arguments: Harm.allCases) func aDamagedLedgerIsSetAside(harm: Harm) throws {
    do { try commit(1...300, to: try Ledger(stateDirectory: directory.path)) }
    let file = open(database, O_RDWR)
    defer { close(file) }
    let size = lseek(file, 0, SEEK_END)
    var bytes = [UInt8](repeating: 0, count: Int(size))
    pread(file, &bytes, bytes.count, 0)
    switch harm {
    case .emptied: ftruncate(file, 0)
    case .truncated: ftruncate(file, 3 * 4096)
    case .firstPageZeroed: pwrite(file, [UInt8](repeating: 0, count: 4096), 4096, 0)
    case .garbage: pwrite(file, (0..<bytes.count).map { _ in UInt8.random(in: 0...255) }, bytes.count, 0)
    case .rootPagesZeroed: pwrite(file, [UInt8](repeating: 0, count: 12 * 4096), 12 * 4096, 4096)
    // The list of tables, after the header of 100 bytes.
    case .firstPageGarbled: pwrite(file, [UInt8](repeating: 0xFF, count: 3996), 3996, 100)
    }
    if harm != .emptied {
      #expect {
        _ = try Ledger(stateDirectory: directory.path).database.query("SELECT * FROM runs ORDER BY id DESC")
      } throws: {
        ($0 as? LedgerError)?.kind == .damaged || ($0 as? SQLiteError)?.isCorruption == true
      }
    }
    #expect(try isSetAside(try Ledger.openForFollowing(stateDirectory: directory.path)))
  }

  @Test func laterDamageIsReportedAndTheNextStartSetsTheLedgerAside() throws {
    do { try commit(1...300, to: try Ledger(stateDirectory: directory.path)) }
    let ledger = try Ledger.openForFollowing(stateDirectory: directory.path)
    #expect(ledger.damage == nil)
    // After the pages that are in the cache.
    let file = open(database, O_RDWR)
    let size = lseek(file, 0, SEEK_END)
    pwrite(file, [UInt8](repeating: 0, count: Int(size) - 30 * 4096), Int(size) - 30 * 4096, 30 * 4096)
    close(file)
    var told = 0
    ledger.database.onCorruption = { _ in
      told += 1
      #expect(ledger.markDamaged(LedgerDamage(reason: "seen", since: 42)))
    }
    #expect(throws: SQLiteError.self) { try ledger.database.query("SELECT * FROM runs") }
    #expect(told > 0)
    ledger.database.onCorruption = nil
    let next = try Ledger.openForFollowing(stateDirectory: directory.path)
    #expect(next.damage?.since == 42)
    #expect(try isSetAside(next))
  }

  /// A power cut can remove the end of the write-ahead log. Then only the last commits are lost.
  @Test func aLogThatWasCutAnywhereLosesOnlyItsEnd() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    try ledger.database.execute("PRAGMA wal_autocheckpoint=0")
    try commit(1...100, to: ledger)
    var log = [UInt8](repeating: 0, count: 8 << 20)
    let file = open("\(database)-wal", O_RDONLY)
    log.removeLast(log.count - read(file, &log, log.count))
    close(file)
    var counts: Set<Int64> = []
    for length in (0..<60).map({ $0 == 0 ? 0 : Int.random(in: 0...log.count) }) {
      let copy = try TemporaryDirectory()
      run("cp \(database) \(copy.path)/")
      let end = open("\(copy.path)/journalhook.db-wal", O_WRONLY | O_CREAT, 0o600)
      write(end, log, length)
      close(end)
      let cut = try Ledger.openForFollowing(stateDirectory: copy.path)
      #expect(cut.damage == nil, "cut at \(length)")
      #expect(try cut.database.query("PRAGMA integrity_check") == [[.text("ok")]])
      let count = try #require(try cut.database.query("SELECT count(*) FROM runs").first?.first?.integer)
      let last = try #require(try cut.database.query("SELECT coalesce(max(id), 0) FROM runs").first?.first?.integer)
      #expect(count == last, "a run is missing in the middle")
      #expect(try cut.position(of: "local") == nil ? count == 0 : count > 0)
      counts.insert(count)
    }
    #expect(counts.count > 20)
  }

  @Test func theIndexOfTheLogIsBuiltAgain() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    try commit(1...3, to: ledger)
    let copy = try TemporaryDirectory()
    run("cp \(database) \(database)-wal \(copy.path)/")
    #expect(
      try Ledger.openForFollowing(stateDirectory: copy.path).openRuns(owner: "follow", after: 0, limit: 9).count == 3)
    run("cp \(database) \(database)-wal \(copy.path)/; head -c 40000 /dev/urandom >\(copy.path)/journalhook.db-shm")
    #expect(
      try Ledger.openForFollowing(stateDirectory: copy.path).openRuns(owner: "follow", after: 0, limit: 9).count == 3)
  }

  @Test func anEmptyFileThatNeverHeldALedgerIsNotDamage() throws {
    close(open(database, O_CREAT | O_WRONLY, 0o600))
    #expect(try Ledger.openForFollowing(stateDirectory: directory.path).damage == nil)
    // Now the file has held a ledger.
    truncate(database, 0)
    #expect { _ = try Ledger(stateDirectory: directory.path) } throws: { ($0 as? LedgerError)?.kind == .damaged }
    unlink(database)
    #expect(try Ledger.openForFollowing(stateDirectory: directory.path).damage == nil, "no ledger before")
  }

  @Test func followingContinuesAtTheCursorOfADamagedLedger() throws {
    do { try commit(1...300, to: try Ledger(stateDirectory: directory.path)) }
    let cursor = try #require(JournalCursor(cursor))
    // The pages of the runs, but not those of the cursors.
    let pages = try SQLiteDatabase(path: database).query(
      "SELECT pageno FROM dbstat WHERE name = 'sqlite_autoindex_runs_1' OR name = 'runs'"
    ).compactMap { $0.first?.integer }
    if pages.isEmpty { return }
    let file = open(database, O_RDWR)
    for page in pages { pwrite(file, [UInt8](repeating: 0xFF, count: 4096), 4096, Int(page - 1) * 4096) }
    close(file)
    let ledger = try Ledger.openForFollowing(stateDirectory: directory.path)
    #expect(ledger.damage?.since == cursor.realtime + 1)
  }

  @Test(arguments: [2, -1]) func aVersionWithoutItsTablesIsRefused(version: Int) throws {
    do { try SQLiteDatabase(path: database).execute("PRAGMA user_version=\(version)") }
    #expect { _ = try Ledger.openForFollowing(stateDirectory: directory.path) } throws: {
      let error = $0 as? LedgerError
      return error?.kind == .unusable && error?.description.contains("but not the tables") == true
    }
  }

  @Test func theWaitForAnotherLockIsShort() throws {
    let ledger = try Ledger(stateDirectory: directory.path)
    let other = try SQLiteDatabase(path: database)
    ledger.database.busyTimeout = Ledger.busyTimeout
    try other.execute("BEGIN IMMEDIATE")
    #expect { try commit(1...1, to: ledger) } throws: { ($0 as? SQLiteError)?.isBusy == true }
    try other.execute("ROLLBACK")
    try commit(1...1, to: ledger)
    // A new connection does the same.
    try ledger.database.reopen()
    try commit(2...2, to: ledger)
    #expect(try ledger.openRuns(owner: "follow", after: 0, limit: 9).count == 2)
  }

  @Test func otherErrorsSetNothingAside() throws {
    // A directory in its place, or a read-only file system, has to be corrected by an administrator.
    mkdir(database, 0o755)
    #expect { _ = try Ledger.openForFollowing(stateDirectory: directory.path) } throws: {
      ($0 as? LedgerError)?.kind == .unusable
    }
    #expect(access("\(database)-damaged", F_OK) != 0)
    rmdir(database)
    // The state after a start that was interrupted before it had created the tables.
    do { try SQLiteDatabase(path: database).execute("PRAGMA journal_mode=WAL") }
    #expect(try Ledger.openForFollowing(stateDirectory: directory.path).damage == nil)
  }

  @Test(.enabled(if: isRoot)) func aReadOnlyFileSystemIsReported() throws {
    do { try commit(1...3, to: try Ledger(stateDirectory: directory.path)) }
    guard run("mount --bind \(directory.path) \(directory.path) && mount -o remount,bind,ro \(directory.path)") == 0
    else {
      return
    }
    defer { run("umount \(directory.path)") }
    #expect { _ = try Ledger.openForFollowing(stateDirectory: directory.path) } throws: {
      ($0 as? LedgerError)?.kind == .unusable
    }
  }
}
