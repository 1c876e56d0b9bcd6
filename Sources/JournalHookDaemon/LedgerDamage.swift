internal import Glibc
internal import Systemd

/// A ledger that cannot be read any more, and what is done about it.
struct LedgerDamage {
  /// What SQLite says.
  var reason: String
  /// Up to when the journal was dealt with for certain, in microseconds since 1970.
  var since: UInt64
  /// Where the database is now; nil if it was not set aside yet, or there was nothing to set aside.
  var setAside: String?
}

extension Ledger {
  /// Opens the ledger for a follower, which has locked the state directory. A damaged one is set aside, and a new one made:
  /// `damage` tells.
  static func openForFollowing(stateDirectory: String) throws -> Ledger {
    let mark = DamageMark(stateDirectory: stateDirectory)
    var damage = mark.read()
    if damage == nil, let reason = try obviousDamage(in: stateDirectory) {
      damage = LedgerDamage(reason: reason, since: Clock.now().microseconds)
    }
    if damage == nil {
      do {
        let ledger = try Ledger(stateDirectory: stateDirectory)
        try ledger.probe()
        return ledger
      } catch let error as LedgerError where error.kind == .damaged {
        damage = LedgerDamage(reason: error.reason ?? error.description, since: Clock.now().microseconds)
      } catch let error as SQLiteError where error.isCorruption {
        damage = LedgerDamage(reason: error.message, since: Clock.now().microseconds)
      }
    }
    guard var damage else { return try Ledger(stateDirectory: stateDirectory) }
    // Marked first: whenever this is cut off, the next start does it again rather than take the folder for a new one.
    mark.write(damage)
    damage.setAside = try setAside(in: stateDirectory)
    let ledger = try Ledger(stateDirectory: stateDirectory)
    ledger.damage = damage
    return ledger
  }

  /// Damage that SQLite would take for a database that is yet to be made; nil if there is none.
  private static func obviousDamage(in stateDirectory: String) throws -> String? {
    var status = stat()
    guard unsafe stat("\(stateDirectory)/journalhook.db", &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      return nil
    }
    return status.st_size == 0 ? "the file is empty" : nil
  }

  /// Reads what following begins with, so that damage there shows at once.
  private func probe() throws(SQLiteError) {
    for table in ["cursors", "units", "unit_events", "boots", "meta"] { try database.query("SELECT * FROM \(table)") }
    try database.query("SELECT * FROM runs WHERE open ORDER BY id LIMIT 100")
    try database.query("SELECT * FROM runs ORDER BY id DESC LIMIT 1")
    try database.query("SELECT * FROM attempts WHERE container IS NOT NULL LIMIT 100")
  }

  /// Renames the database and what belongs to it; nil if there is none.
  private static func setAside(in stateDirectory: String) throws -> String? {
    let path = "\(stateDirectory)/journalhook.db"
    let name = "\(path).damaged-\(utcName(of: time(nil)))"
    // Of the same second there may be one already.
    var free = name
    var number = 1
    while unsafe access(free, F_OK) == 0 {
      number += 1
      free = "\(name)-\(number)"
    }
    var result: String?
    for suffix in ["", "-wal", "-shm"] {
      if unsafe rename(path + suffix, free + suffix) == 0 {
        if suffix.isEmpty { result = free }
      } else if errno != ENOENT {
        throw LedgerError(
          kind: .unusable,
          description: "The ledger \(path) is damaged, and cannot be set aside: \(SystemError("rename").reason).")
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

  /// Writes down in a new ledger from where on it knows: of what was before, it is unknown what was done.
  func settle(_ damage: LedgerDamage) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try raiseHorizon(to: damage.since)
      // Numbers that were not given before: the journal and cgroups know the old ones.
      try database.query("DELETE FROM sqlite_sequence WHERE name = 'runs'")
      try database.query("INSERT INTO sqlite_sequence(name, seq) VALUES('runs', ?)", SQLiteValue(time(nil)))
    }
  }

  /// The damage is dealt with: the next start finds a good ledger.
  func removeDamageMark() { DamageMark(stateDirectory: stateDirectory).remove() }

  /// Has the next start set this ledger aside, and begin where the journal was dealt with.
  func markDamaged(_ damage: LedgerDamage) { DamageMark(stateDirectory: stateDirectory).write(damage) }
}

/// A file beside a database that is to be set aside: the time up to which the journal was dealt with, and the reason.
private struct DamageMark {
  private let path: String

  init(stateDirectory: String) { path = "\(stateDirectory)/journalhook.db-damaged" }

  func read() -> LedgerDamage? {
    guard let text = readText(path) else { return nil }
    let lines = text.split(separator: "\n", maxSplits: 1)
    return LedgerDamage(
      reason: lines.count > 1 ? String(lines[1].prefix { $0 != "\n" }) : "it was marked as damaged",
      since: lines.first.flatMap { UInt64($0) } ?? Clock.now().microseconds)
  }

  func write(_ damage: LedgerDamage) {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { return }
    let text = Array("\(damage.since)\n\(damage.reason)\n".utf8)
    _ = unsafe Glibc.write(file, text, text.count)
    fsync(file)
    close(file)
  }

  func remove() { _ = unsafe unlink(path) }
}
