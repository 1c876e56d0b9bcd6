internal import Glibc
internal import Systemd

/// An error of the ledger as a whole.
package struct LedgerError: Error, CustomStringConvertible {
  package enum Kind: Sendable {
    /// Another `journalhook follow` is running with this state directory.
    case locked
    /// The state directory or the database cannot be used.
    case unusable
    /// The database was written by a later version.
    case tooNew
    /// The database is damaged, or the file is not a database.
    case damaged
    /// The runs of the time that was asked for were already removed.
    case beforeHorizon
  }

  package let kind: Kind
  package let description: String
  /// What SQLite reports about a damaged database.
  var reason: String?
}

/// The runs, what became of them, and how far the journal was read: `journalhook.db` in the state directory.
///
/// The runs for an event and the cursor after it are written in one transaction before any of them starts. So a crash at any
/// moment neither loses an event nor repeats a run that the ledger has as finished.
package final class Ledger {
  package let database: SQLiteDatabase
  package let stateDirectory: String
  /// The damage for which an earlier ledger was set aside; nil if there was none.
  package var damage: LedgerDamage?
  /// Whether the process of an owner still runs; nil if that is not known. A simulation has processes of its own.
  package lazy var isAlive: (_ owner: String) -> Bool? = { [stateDirectory] owner in
    owner == RunOwner.follow ? LedgerLock.isHeld(in: stateDirectory) : RunOwner(owner)?.isAlive
  }
  /// What changes the files beside the database.
  var files: any LedgerFiles = RealFiles()
  /// The inode of the database that is open; nil as long as it is not known.
  private var inode: UInt64?

  /// How long to wait for a lock of another process while the event loop runs, in milliseconds. Deadlines, output and signals
  /// have to wait for the same time.
  package static let busyTimeout: Int32 = 20

  /// Opens the ledger of a state directory. Unless it is opened read-only, both are created if they do not exist.
  ///
  /// - Parameter vfs: the name of the virtual file system of SQLite that is used instead of the real file system, for a
  ///   simulation. The files beside the database do not exist then.
  /// - Throws: `LedgerError`.
  package init(stateDirectory: String, readOnly: Bool = false, vfs: String? = nil) throws {
    self.stateDirectory = stateDirectory
    if !readOnly, vfs == nil {
      try Ledger.makeDirectory(stateDirectory)
      try Ledger.checkTrust(in: stateDirectory)
    }
    let path = "\(stateDirectory)/journalhook.db"
    if vfs == nil, let reason = Ledger.obviousDamage(in: stateDirectory) { throw Ledger.damaged(path, reason) }
    if readOnly, vfs == nil, unsafe access(path, F_OK) != 0 {
      throw LedgerError(
        kind: .unusable,
        description: "There is no ledger \(path): journalhook follow has not run with this state directory yet.")
    }
    // The ledger holds what scripts get as input, which is not for other users: mode 0600 from the start.
    let mask = umask(0o077)
    defer { umask(mask) }
    do {
      database = try SQLiteDatabase(path: path, readOnly: readOnly, vfs: vfs)
      if !readOnly { try setUp() } else { try checkVersion(atLeast: LedgerSchema.version) }
      if vfs == nil { inode = Ledger.inode(of: path) }
    } catch let error as SQLiteError {
      if error.isCorruption {
        throw Ledger.damaged(path, error.message)
      }
      throw LedgerError(
        kind: .unusable,
        description:
          "Cannot use the ledger \(path): \(error.message). Check that the directory is writable, has free space and "
          + "belongs to this user, or name another one with --state-dir.")
    }
  }

  private static func damaged(_ path: String, _ reason: String) -> LedgerError {
    LedgerError(
      kind: .damaged,
      description:
        "The ledger \(path) is damaged: \(reason). The next start of follow sets it aside and creates a new one.",
      reason: reason)
  }

  /// Called with an error that looks like damage, in the middle of the operation that has met it.
  package var onCorruption: ((SQLiteError) -> Void)? {
    get { database.onCorruption }
    set { database.onCorruption = newValue }
  }

  /// Closes the database and opens it again, as after an error of the disk.
  package func reopen() throws(SQLiteError) {
    try database.reopen()
    if database.vfs == nil { inode = Ledger.inode(of: database.path) }
  }

  /// Whether the database that is open is still the one at its path: somebody may have removed or replaced it.
  /// A disk that cannot say what is there at this moment has removed nothing.
  package var isInPlace: Bool {
    guard let inode, let found = Ledger.inode(of: database.path) else { return true }
    return found == inode
  }

  /// 0 if there is none; nil if that cannot be known now.
  private static func inode(of path: String) -> UInt64? {
    var status = stat()
    if unsafe stat(path, &status) == 0 { return UInt64(status.st_ino) }
    return errno == ENOENT || errno == ENOTDIR ? 0 : nil
  }

  /// Limits the wait for a lock of another process to `busyTimeout` from now on. To be called before the event loop runs.
  package func limitWaits() { database.busyTimeout = Ledger.busyTimeout }

  /// Whether the state directory has a ledger.
  package static func exists(in stateDirectory: String) -> Bool {
    unsafe access("\(stateDirectory)/journalhook.db", F_OK) == 0
  }

  /// Whether the state directory has, or may have, a ledger that this process is not allowed to read.
  package static func isHidden(in stateDirectory: String) -> Bool {
    unsafe access("\(stateDirectory)/journalhook.db", R_OK) != 0 && errno == EACCES
  }

  private func setUp() throws {
    // WAL with synchronous=NORMAL: a commit is one write that does not wait for the disk. After a crash of the process nothing
    // is lost. After a power loss the last commits may be lost, but only the last ones: runs may be repeated, none is lost.
    try database.begin(
      with: "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-256; PRAGMA foreign_keys=ON;")
    try checkVersion(atLeast: 0)
    try LedgerSchema.migrate(database)
    if database.vfs == nil { Ledger.noteComplete(in: stateDirectory) }
  }

  /// Waits until everything that was written is on disk, including the database's directory entry.
  ///
  /// A power cut must not remove the ledger's existence and its first cursors. Otherwise the next start would be a first start,
  /// and skip everything that the journal has until then.
  package func makeDurable() throws {
    // A commit that waits for the disk takes all earlier ones with it. A checkpoint would wait for nothing while another process
    // reads the ledger or makes a checkpoint. The number is the one that is there: any change will do.
    try database.execute("PRAGMA synchronous=FULL")
    defer { try? database.execute("PRAGMA synchronous=NORMAL") }
    try database.execute("PRAGMA user_version=\(LedgerSchema.version)")
    if database.vfs == nil {
      try files.syncDirectory(stateDirectory)
    } else {
      try database.syncDirectory()
    }
  }

  private func checkVersion(atLeast oldest: Int64) throws {
    let version = try LedgerSchema.version(of: database)
    guard version <= LedgerSchema.version else {
      throw LedgerError(
        kind: .tooNew,
        description:
          "The ledger \(database.path) has schema \(version). This journalhook knows schemas up to \(LedgerSchema.version). "
          + "Install the newer journalhook again, or name another directory with --state-dir.")
    }
    guard version >= 0, try LedgerSchema.isWhole(database, version) else {
      throw LedgerError(
        kind: .unusable,
        description:
          "The ledger \(database.path) has schema \(version), but not the tables of that schema: another program has written "
          + "to it. Move it out of the directory, and journalhook creates a new one, or name another directory with "
          + "--state-dir.")
    }
    guard version >= oldest else {
      throw LedgerError(
        kind: .unusable,
        description:
          "The ledger \(database.path) has schema \(version) of an earlier journalhook. The next start of follow migrates "
          + "it to schema \(LedgerSchema.version).")
    }
  }

  /// Creates a state directory and its parents where they do not exist.
  package static func makeDirectory(_ path: String) throws { try makeDirectory(path, files: RealFiles()) }

  static func makeDirectory(_ path: String, files: some LedgerFiles) throws {
    // Mode 0711, whatever the umask: hooks that run as other users can reach their own directories below it, and list nothing.
    let mask = umask(0o066)
    defer { umask(mask) }
    var parent = path.hasPrefix("/") ? "/" : "."
    for part in path.split(separator: "/") {
      let made = parent == "." ? String(part) : parent == "/" ? "/\(part)" : "\(parent)/\(part)"
      if unsafe mkdir(made, 0o711) == 0 {
        // A ledger that is on disk is lost if its directory is not. Who may create a directory may not always read its parent.
        try? files.syncDirectory(parent)
      } else if errno != EEXIST {
        throw LedgerError(
          kind: .unusable,
          description: "Cannot create the state directory \(path): \(SystemError("mkdir").reason). Create it, or name "
            + "another one with --state-dir.")
      }
      parent = made
    }
  }
}
