internal import Glibc
internal import Systemd

/// The ledger could not be used.
package struct LedgerError: Error, CustomStringConvertible {
  package enum Kind: Sendable {
    /// Another process follows with this state directory.
    case locked
    /// The state directory or the database cannot be used.
    case unusable
    /// The database was written by a later version.
    case tooNew
    /// The database is damaged, or is none.
    case damaged
    /// What was done in the time that is asked for is forgotten.
    case beforeHorizon
  }

  package let kind: Kind
  package let description: String
  /// What SQLite says, of a database that is damaged.
  var reason: String?
}

/// What is to be done, what was done and how far the journal was read: `journalhook.db` in the state directory.
///
/// The runs that an event leads to and the cursor behind it are written in one transaction before any of them starts, so
/// that a crash at any moment neither loses an event nor repeats a run that is written down as finished.
package final class Ledger {
  package let database: SQLiteDatabase
  package let stateDirectory: String
  /// What became of the ledger that was here before; nil when all is well.
  package var damage: LedgerDamage?
  /// The inode of the database that is open.
  private var inode: UInt64 = 0

  /// How long a lock of another process is waited for while the loop runs, in milliseconds: deadlines, output and signals wait as
  /// long.
  package static let busyTimeout: Int32 = 20

  /// Opens the ledger of a state directory, both made if they do not exist.
  package init(stateDirectory: String, readOnly: Bool = false) throws {
    self.stateDirectory = stateDirectory
    if !readOnly {
      try Ledger.makeDirectory(stateDirectory)
      try Ledger.checkTrust(in: stateDirectory)
    }
    let path = "\(stateDirectory)/journalhook.db"
    if let reason = Ledger.obviousDamage(in: stateDirectory) { throw Ledger.damaged(path, reason) }
    if readOnly, unsafe access(path, F_OK) != 0 {
      throw LedgerError(
        kind: .unusable,
        description: "There is no ledger \(path): no follow has run with this state directory yet.")
    }
    // The ledger holds what scripts are given, and nobody else's business: 0600 from the start.
    let mask = umask(0o077)
    defer { umask(mask) }
    do {
      database = try SQLiteDatabase(path: path, readOnly: readOnly)
      if !readOnly { try setUp() } else { try checkVersion(atLeast: LedgerSchema.version) }
      inode = Ledger.inode(of: path)
    } catch let error as SQLiteError {
      if error.isCorruption {
        throw Ledger.damaged(path, error.message)
      }
      throw LedgerError(
        kind: .unusable,
        description:
          "Cannot use the ledger \(path): \(error.message). Check that the directory is writable, has room and is "
          + "this user's, or name another one with --state-dir.")
    }
  }

  private static func damaged(_ path: String, _ reason: String) -> LedgerError {
    LedgerError(
      kind: .damaged,
      description: "The ledger \(path) is damaged: \(reason). The next start of follow sets it aside and begins anew.",
      reason: reason)
  }

  /// Called with what looks like damage, from the midst of whatever has met it.
  package var onCorruption: ((SQLiteError) -> Void)? {
    get { database.onCorruption }
    set { database.onCorruption = newValue }
  }

  /// Closes the database and opens it again, as after an error of the disk.
  package func reopen() throws(SQLiteError) {
    try database.reopen()
    inode = Ledger.inode(of: database.path)
  }

  /// Whether the database that is open is still the one at its path: somebody may have removed or replaced it.
  package var isInPlace: Bool { Ledger.inode(of: database.path) == inode }

  /// 0 if there is none.
  private static func inode(of path: String) -> UInt64 {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? UInt64(status.st_ino) : 0
  }

  /// From now on a lock that somebody else holds is waited for no longer than `busyTimeout`: deadlines, output and signals of the
  /// loop wait as long.
  package func waitForNobody() { database.busyTimeout = Ledger.busyTimeout }

  /// Whether there is one.
  package static func exists(in stateDirectory: String) -> Bool {
    unsafe access("\(stateDirectory)/journalhook.db", F_OK) == 0
  }

  /// Whether there is, or may be, one that this process may not read.
  package static func isHidden(in stateDirectory: String) -> Bool {
    unsafe access("\(stateDirectory)/journalhook.db", R_OK) != 0 && errno == EACCES
  }

  private func setUp() throws {
    // WAL with synchronous=NORMAL: a commit is one write without waiting for the disk. After a crash of the process nothing
    // is lost; after a power loss the last commits may be, never the order of them, so runs may repeat but none is lost.
    try database.begin(
      with: "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-256; PRAGMA foreign_keys=ON;")
    try checkVersion(atLeast: 0)
    try LedgerSchema.migrate(database)
    Ledger.noteComplete(in: stateDirectory)
  }

  /// Waits until all that was written down is on disk, the database's name included.
  ///
  /// For what a power cut must not take away: that there is a ledger, and where it began. Without that the next start would be
  /// the first one ever, and pass over all that was there.
  package func makeDurable() throws {
    try database.query("PRAGMA wal_checkpoint(PASSIVE)")
    let directory = try OwnedDescriptor.open(stateDirectory, O_RDONLY | O_DIRECTORY)
    try SystemError.checkErrno(fsync(directory.rawValue), "write to disk", path: stateDirectory)
  }

  private func checkVersion(atLeast oldest: Int64) throws {
    let version = try LedgerSchema.version(of: database)
    guard version <= LedgerSchema.version else {
      throw LedgerError(
        kind: .tooNew,
        description:
          "The ledger \(database.path) has schema \(version); this journalhook knows \(LedgerSchema.version). "
          + "Install the newer journalhook again, or name another directory with --state-dir.")
    }
    guard version >= 0, try LedgerSchema.isWhole(database, version) else {
      throw LedgerError(
        kind: .unusable,
        description:
          "The ledger \(database.path) has schema \(version) without the tables of that schema: another program has written "
          + "to it. Move it out of the directory, and journalhook begins with a new one, or name another directory with "
          + "--state-dir.")
    }
    guard version >= oldest else {
      throw LedgerError(
        kind: .unusable,
        description:
          "The ledger \(database.path) has schema \(version) of an earlier journalhook. The next start of follow makes "
          + "it \(LedgerSchema.version).")
    }
  }

  package static func makeDirectory(_ path: String) throws {
    // Hooks that run as other users reach their own directories below it, and can list nothing: 0711, whatever the umask.
    let mask = umask(0o066)
    defer { umask(mask) }
    var made = ""
    for part in path.split(separator: "/") {
      made += "/\(part)"
      if unsafe mkdir(path.hasPrefix("/") ? made : String(made.dropFirst()), 0o711) != 0, errno != EEXIST {
        throw LedgerError(
          kind: .unusable,
          description: "Cannot make the state directory \(path): \(SystemError("mkdir").reason). Make it, or name "
            + "another one with --state-dir.")
      }
    }
  }
}
