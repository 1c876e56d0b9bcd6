internal import Glibc
internal import Systemd

/// What is known about a ledger that can no longer be read.
package struct LedgerDamage {
  /// What SQLite reports.
  package var reason: String
  /// Up to this time all events were processed for certain, in microseconds since 1970.
  package var since: UInt64
  /// The new path of the database; nil if it was not set aside yet, or there was none.
  package var setAside: String?

  package init(reason: String, since: UInt64, setAside: String? = nil) {
    self.reason = reason
    self.since = since
    self.setAside = setAside
  }
}

extension Ledger {
  /// Opens the ledger for `follow`, which holds the lock of the state directory. A damaged ledger is set aside, and a new one is
  /// created; its `damage` then says so.
  package static func openForFollowing(stateDirectory: String) throws -> Ledger {
    try openForFollowing(stateDirectory: stateDirectory, files: RealFiles())
  }

  static func openForFollowing(stateDirectory: String, files: any LedgerFiles) throws -> Ledger {
    let mark = DamageMark(stateDirectory: stateDirectory, files: files)
    var damage = mark.read(in: stateDirectory)
    if damage == nil {
      do {
        return try openProbed(stateDirectory)
      } catch let error as LedgerError where error.kind == .damaged {
        damage = describeLoss(error.reason ?? error.description, in: stateDirectory)
      }
    }
    guard var damage else { return try Ledger(stateDirectory: stateDirectory) }
    // The mark comes first: if this is interrupted, the next start repeats it, instead of taking the directory for a new one.
    try mark.write(damage)
    damage.setAside = try setAside(in: stateDirectory, files)
    let ledger = try Ledger(stateDirectory: stateDirectory)
    ledger.files = files
    ledger.damage = damage
    return ledger
  }

  /// Opens a ledger and reads what `follow` needs first.
  ///
  /// A temporary read error of the disk looks like damage to SQLite. So a ledger that looks damaged is read completely, and opened
  /// once more if nothing is found.
  private static func openProbed(_ stateDirectory: String) throws -> Ledger {
    do {
      return try openAndProbe(stateDirectory)
    } catch let error as LedgerError where error.kind == .damaged {
      let path = "\(stateDirectory)/journalhook.db"
      guard obviousDamage(in: stateDirectory) == nil, SQLiteDatabase.problem(of: path) == nil else { throw error }
      return try openAndProbe(stateDirectory)
    }
  }

  private static func openAndProbe(_ stateDirectory: String) throws -> Ledger {
    let ledger = try Ledger(stateDirectory: stateDirectory)
    do throws(SQLiteError) {
      try ledger.probe()
    } catch {
      guard error.isCorruption else { throw error }
      throw LedgerError(kind: .damaged, description: "\(error)", reason: error.message)
    }
    return ledger
  }

  /// Describes a ledger that is lost. If its cursors can still be read, events were processed up to the earliest of them; else up
  /// to the time when the ledger was last written.
  private static func describeLoss(_ reason: String, in stateDirectory: String) -> LedgerDamage {
    let path = "\(stateDirectory)/journalhook.db"
    let rows = (try? SQLiteDatabase(path: path).query("SELECT cursor FROM cursors")) ?? []
    var times: [UInt64] = []
    for row in rows {
      if let text = row.first?.text, let time = realtime(ofCursor: text) { times.append(time) }
    }
    if let since = times.min() { return LedgerDamage(reason: reason, since: since) }
    var written: UInt64?
    for suffix in ["", "-wal"] {
      var status = stat()
      guard unsafe stat(path + suffix, &status) == 0 else { continue }
      let time = UInt64(clamping: status.st_mtim.tv_sec) * 1_000_000 + UInt64(clamping: status.st_mtim.tv_nsec / 1000)
      if time > written ?? 0 { written = time }
    }
    return LedgerDamage(reason: reason, since: written ?? Clock.now().microseconds)
  }

  /// The time up to which a reader had read, by its row in `cursors`.
  private static func realtime(ofCursor text: String) -> UInt64? {
    text.hasPrefix("@") ? UInt64(text.dropFirst()) : JournalCursor(text).map { $0.realtime + 1 }
  }

  /// A file that exists since the ledger had all its tables for the first time. An empty database without this file comes from a
  /// start that was interrupted before it wrote anything: nothing is lost with it.
  private static func completeMark(in stateDirectory: String) -> String { "\(stateDirectory)/journalhook.db-complete" }

  /// Records that the ledger has all its tables.
  static func noteComplete(in stateDirectory: String) {
    let path = completeMark(in: stateDirectory)
    if unsafe access(path, F_OK) == 0 { return }
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    if file >= 0 { close(file) }
  }

  /// Damage that SQLite would take for a new database; nil if there is none.
  static func obviousDamage(in stateDirectory: String) -> String? {
    var status = stat()
    guard unsafe stat("\(stateDirectory)/journalhook.db", &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_size == 0, unsafe access(completeMark(in: stateDirectory), F_OK) == 0
    else { return nil }
    return "the file is empty"
  }

  /// Reads what `follow` needs first, so that damage there is found at once.
  private func probe() throws(SQLiteError) {
    for table in ["cursors", "units", "unit_events", "boots", "meta"] { try database.query("SELECT * FROM \(table)") }
    try database.query("SELECT * FROM runs WHERE open ORDER BY id LIMIT 100")
    try database.query("SELECT * FROM runs ORDER BY id DESC LIMIT 1")
    try database.query("SELECT * FROM attempts WHERE container IS NOT NULL LIMIT 100")
  }

  /// Renames the database and the files that belong to it.
  ///
  /// - Returns: the new path; nil if there was no database, or an empty one.
  private static func setAside(in stateDirectory: String, _ files: any LedgerFiles) throws -> String? {
    let path = "\(stateDirectory)/journalhook.db"
    defer { files.remove(completeMark(in: stateDirectory)) }
    if obviousDamage(in: stateDirectory) != nil {
      // An empty database holds nothing to keep.
      for suffix in ["", "-wal", "-shm"] { files.remove(path + suffix) }
      return nil
    }
    let name = "\(path).damaged-\(utcName(of: time(nil)))"
    // There may already be one of the same second.
    var free = name
    var number = 1
    while unsafe access(free, F_OK) == 0 {
      number += 1
      free = "\(name)-\(number)"
    }
    var result: String?
    for suffix in ["", "-wal", "-shm"] {
      do throws(SystemError) {
        if try files.rename(path + suffix, to: free + suffix), suffix.isEmpty { result = free }
      } catch {
        throw LedgerError(
          kind: .unusable, description: "The ledger \(path) is damaged and cannot be set aside: \(error.reason).")
      }
    }
    return result
  }

  private static func utcName(of time: time_t) -> String {
    var time = time
    var parts = unsafe tm()
    unsafe gmtime_r(&time, &parts)
    var buffer = [CChar](repeating: 0, count: 32)
    let count = unsafe strftime(&buffer, buffer.count, "%Y%m%dT%H%M%SZ", &parts)
    return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Records the damage in the new ledger: for events up to `damage.since` it is not known which runs were done.
  package func recordLoss(_ damage: LedgerDamage) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try raiseHorizon(to: damage.since)
      // Run numbers that were not used before: the journal and the names of cgroups still have the old ones.
      try database.query("DELETE FROM sqlite_sequence WHERE name = 'runs'")
      try database.query("INSERT INTO sqlite_sequence(name, seq) VALUES('runs', ?)", SQLiteValue(time(nil)))
    }
  }

  /// Removes the mark of `markDamaged`, when the new ledger is complete.
  package func removeDamageMark() {
    if database.vfs == nil { DamageMark(stateDirectory: stateDirectory, files: files).remove() }
  }

  /// Marks this ledger as damaged: the next start sets it aside and continues from `damage.since`.
  ///
  /// - Returns: false if the mark cannot be written.
  package func markDamaged(_ damage: LedgerDamage) -> Bool {
    guard database.vfs == nil else { return false }
    do {
      try DamageMark(stateDirectory: stateDirectory, files: files).write(damage)
      return true
    } catch {
      return false
    }
  }

  /// Reads the whole database, and returns what is wrong with it; nil if it is not damaged.
  package func problem() -> String? { SQLiteDatabase.problem(of: database.path, vfs: database.vfs) }
}

/// A file beside a database that has to be set aside: the time up to which events were processed, and the reason.
private struct DamageMark {
  private let directory: String
  private let path: String
  private let files: any LedgerFiles

  init(stateDirectory: String, files: any LedgerFiles) {
    directory = stateDirectory
    path = "\(stateDirectory)/journalhook.db-damaged"
    self.files = files
  }

  func read(in stateDirectory: String) -> LedgerDamage? {
    guard let text = readText(path) else { return nil }
    let lines = text.split(separator: "\n", maxSplits: 1)
    return LedgerDamage(
      reason: lines.count > 1 ? String(lines[1].prefix { $0 != "\n" }) : "it was marked as damaged",
      since: lines.first.flatMap { UInt64($0) } ?? Clock.now().microseconds)
  }

  /// Writes the file completely or not at all, and waits until it is on disk: the database is not renamed before. After a power
  /// cut in between, there would be no ledger and no mark, as before the first start.
  func write(_ damage: LedgerDamage) throws {
    let new = path + "-new"
    do {
      // A mark that an earlier start has left behind may not be on disk yet either.
      if unsafe access(path, F_OK) != 0 {
        try files.write("\(damage.since)\n\(damage.reason)\n", to: new)
        _ = try files.rename(new, to: path)
      }
      try files.syncDirectory(directory)
    } catch {
      files.remove(new)
      throw LedgerError(
        kind: .unusable,
        description:
          "The ledger is damaged (\(damage.reason)) and cannot be set aside: \(error). Free disk space, and start again."
      )
    }
  }

  /// Removes the file, also from the disk: after a power cut it would set the new ledger aside, with what was done since.
  func remove() {
    files.remove(path)
    try? files.syncDirectory(directory)
  }
}
