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
  }

  package let kind: Kind
  package let description: String
}

/// What is to be done, what was done and how far the journal was read: `journalhook.db` in the state directory.
///
/// The runs that an event leads to and the cursor behind it are written in one transaction before any of them starts, so
/// that a crash at any moment neither loses an event nor repeats a run that is written down as finished.
package final class Ledger {
  let database: SQLiteDatabase
  package let stateDirectory: String

  static let schemaVersion: Int64 = 1

  /// Opens the ledger of a state directory, both made if they do not exist.
  package init(stateDirectory: String, readOnly: Bool = false) throws {
    self.stateDirectory = stateDirectory
    if !readOnly {
      try Ledger.makeDirectory(stateDirectory)
      try Ledger.checkTrust(in: stateDirectory)
    }
    let path = "\(stateDirectory)/journalhook.db"
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
      if !readOnly { try setUp() } else { try checkVersion() }
    } catch let error as SQLiteError {
      throw LedgerError(
        kind: .unusable,
        description:
          "Cannot use the ledger \(path): \(error.message). Check that the folder is writable, has room and is "
          + "this user's, or name another one with --state-dir.")
    }
  }

  /// Whether there is one.
  static func exists(in stateDirectory: String) -> Bool { unsafe access("\(stateDirectory)/journalhook.db", F_OK) == 0 }

  /// Whether there is, or may be, one that this process may not read.
  package static func isHidden(in stateDirectory: String) -> Bool {
    unsafe access("\(stateDirectory)/journalhook.db", R_OK) != 0 && errno == EACCES
  }

  private func setUp() throws {
    // WAL with synchronous=NORMAL: a commit is one write without waiting for the disk. After a crash of the process nothing
    // is lost; after a power loss the last commits may be, never the order of them, so runs may repeat but none is lost.
    try database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-256;")
    try checkVersion()
    try database.execute(Ledger.schema)
  }

  private func checkVersion() throws {
    let version = try database.query("PRAGMA user_version").first?.first?.integer ?? 0
    guard version <= Ledger.schemaVersion else {
      throw LedgerError(
        kind: .tooNew,
        description:
          "The ledger \(database.path) has schema \(version); this journalhook knows \(Ledger.schemaVersion). "
          + "Install the newer journalhook again, or name another folder with --state-dir.")
    }
  }

  private static func makeDirectory(_ path: String) throws {
    // Hooks that run as other users reach their own folders below it, and can list nothing: 0711, whatever the umask.
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

  private static let schema = """
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS cursors(
      reader TEXT PRIMARY KEY,
      cursor TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS units(
      machine TEXT NOT NULL, manager TEXT NOT NULL, unit TEXT NOT NULL,
      state TEXT NOT NULL,
      PRIMARY KEY(machine, manager, unit)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS unit_events(
      machine TEXT NOT NULL, manager TEXT NOT NULL, unit TEXT NOT NULL,
      role TEXT NOT NULL,
      event_json TEXT NOT NULL, event_time INTEGER NOT NULL, event_monotonic INTEGER NOT NULL,
      PRIMARY KEY(machine, manager, unit, role)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS boots(machine TEXT PRIMARY KEY, boot TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS runs(
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      event_id TEXT NOT NULL,
      hook TEXT NOT NULL,
      again INTEGER NOT NULL DEFAULT 0,
      unit TEXT NOT NULL,
      event TEXT NOT NULL,
      event_json TEXT NOT NULL,
      event_time INTEGER NOT NULL,
      event_monotonic INTEGER NOT NULL,
      manager TEXT NOT NULL,
      mode TEXT NOT NULL,
      owner TEXT NOT NULL,
      held INTEGER NOT NULL DEFAULT 0,
      state TEXT NOT NULL,
      attempt INTEGER NOT NULL DEFAULT 1,
      reason TEXT,
      created INTEGER NOT NULL,
      started INTEGER,
      ended INTEGER,
      exit_code TEXT,
      exit_status INTEGER,
      UNIQUE(event_id, hook, again)
    );
    CREATE INDEX IF NOT EXISTS runs_open ON runs(state) WHERE state IN ('pending', 'running', 'interrupted');
    CREATE INDEX IF NOT EXISTS runs_by_hook ON runs(hook, id);
    CREATE INDEX IF NOT EXISTS runs_held ON runs(unit) WHERE held;
    CREATE TABLE IF NOT EXISTS attempts(
      run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
      attempt INTEGER NOT NULL,
      state TEXT NOT NULL,
      reason TEXT,
      started INTEGER NOT NULL,
      ended INTEGER,
      exit_code TEXT,
      exit_status INTEGER,
      container TEXT,
      PRIMARY KEY(run, attempt)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS attempts_contained ON attempts(run) WHERE container IS NOT NULL;
    PRAGMA user_version=1;
    COMMIT;
    """
}

/// Keeps every other follower away from a state directory for as long as it exists.
package struct LedgerLock: ~Copyable {
  private let descriptor: CInt

  /// - Throws: `LedgerError` of kind `locked`, naming the process that holds it.
  package init(stateDirectory: String) throws {
    let path = "\(stateDirectory)/follow.lock"
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw LedgerError(
        kind: .unusable,
        description: "\(SystemError("Cannot open", path: path)). Check that the state directory is writable, or name "
          + "another one with --state-dir.")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let reason = SystemError("Cannot lock", path: path)
      var buffer = [UInt8](repeating: 0, count: 32)
      let count = max(0, unsafe read(descriptor, &buffer, buffer.count))
      let holder = String(decoding: buffer[..<count], as: UTF8.self).filter(\.isNumber)
      close(descriptor)
      guard reason.code == EWOULDBLOCK else { throw LedgerError(kind: .unusable, description: "\(reason)") }
      throw LedgerError(
        kind: .locked,
        description: "Another journalhook follow (process \(holder)) already follows with the state directory "
          + "\(stateDirectory). Stop it first, or name another folder with --state-dir.")
    }
    ftruncate(descriptor, 0)
    let text = Array("\(getpid())\n".utf8)
    _ = unsafe pwrite(descriptor, text, text.count, 0)
  }

  deinit { close(descriptor) }
}
