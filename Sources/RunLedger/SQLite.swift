internal import CSQLite
internal import Glibc
internal import Systemd

/// A failed call of SQLite.
package struct SQLiteError: Error, CustomStringConvertible {
  /// SQLite's extended result code.
  package let code: Int32
  /// What was tried, for example "open the ledger".
  package let operation: String
  /// The database file.
  package let path: String
  /// SQLite's message.
  package let message: String

  package var description: String { "\(operation) \(path): \(message)" }

  /// Whether the database file is damaged, or is not a database.
  package var isCorruption: Bool { [SQLITE_CORRUPT, SQLITE_NOTADB].contains(code & 0xFF) }

  /// Whether another connection holds the lock: the operation may succeed a moment later.
  package var isBusy: Bool { [SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL].contains(code & 0xFF) }

  /// Whether the file system is full.
  var isFull: Bool { code & 0xFF == SQLITE_FULL }

  /// Whether the connection may no longer know its locks: SQLITE_PROTOCOL follows a lock that could not be released.
  var spoilsConnection: Bool { [SQLITE_PROTOCOL, SQLITE_IOERR].contains(code & 0xFF) }

  /// Whether the file or its directory cannot be written.
  package var isReadOnly: Bool { [SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM].contains(code & 0xFF) }
}

/// A value in a database.
package enum SQLiteValue: Sendable, Equatable, ExpressibleByNilLiteral {
  case null
  case integer(Int64)
  case text(String)

  package init(nilLiteral: ()) { self = .null }
  package init(_ text: String?) { self = if let text { .text(text) } else { .null } }
  package init(_ number: (some BinaryInteger)?) {
    self = if let number { .integer(Int64(clamping: number)) } else { .null }
  }

  package var text: String? { if case .text(let text) = self { text } else { nil } }
  package var integer: Int64? { if case .integer(let number) = self { number } else { nil } }
}

/// One connection to one SQLite database, for one thread.
@safe package final class SQLiteDatabase {
  /// nil after a connection could not be made again: the next use tries once more.
  private var handle: OpaquePointer?
  package let path: String
  private let isReadOnly: Bool
  /// The name of the virtual file system of SQLite that the file is in; nil for the real one.
  package let vfs: String?
  /// The statements that each new connection runs first.
  private var setUp = ""
  /// Whether to make a new connection before the next use.
  private var isSpoilt = false
  /// Called when the file turns out to be damaged, in the middle of the operation.
  package var onCorruption: ((SQLiteError) -> Void)?
  private var statements: [String: OpaquePointer] = unsafe [:]

  /// Opens a database file. It is created if it does not exist, unless it is opened read-only.
  package init(path: String, readOnly: Bool = false, vfs: String? = nil) throws(SQLiteError) {
    self.path = path
    self.isReadOnly = readOnly
    self.vfs = vfs
    unsafe handle = try SQLiteDatabase.open(path, readOnly: readOnly, vfs: vfs)
    unsafe sqlite3_busy_timeout(handle, busyTimeout)
  }

  /// Opens a connection.
  private static func open(_ path: String, readOnly: Bool, vfs: String?) throws(SQLiteError) -> OpaquePointer {
    var handle: OpaquePointer?
    var flags = (readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX
    var name = path
    // Even a reader creates the files -wal and -shm, unless the database is immutable. Without a -wal file no process that would
    // write has the database open.
    if readOnly, vfs == nil, unsafe access(path + "-wal", F_OK) != 0 {
      flags |= SQLITE_OPEN_URI
      name = "file:" + SQLiteDatabase.escape(path) + "?immutable=1"
    }
    let code = unsafe sqlite3_open_v2(name, &handle, flags, vfs)
    guard code == SQLITE_OK, let handle = unsafe handle else {
      let message = unsafe handle.map { unsafe String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      unsafe sqlite3_close(handle)
      throw SQLiteError(code: code, operation: "open the ledger", path: path, message: message)
    }
    unsafe sqlite3_extended_result_codes(handle, 1)
    return unsafe handle
  }

  /// How long to wait for the lock of another process, in milliseconds. Our own processes hold it for microseconds.
  package var busyTimeout: Int32 = 5000 {
    didSet { if let handle = unsafe handle { unsafe sqlite3_busy_timeout(handle, busyTimeout) } }
  }

  /// Runs statements now, and at the start of each later connection.
  func begin(with script: String) throws(SQLiteError) {
    setUp = script
    try execute(script)
  }

  /// Closes the connection and opens a new one, which is not affected by the errors of the old one.
  package func reopen() throws(SQLiteError) {
    unsafe statements.values.forEach { unsafe _ = sqlite3_finalize($0) }
    unsafe statements = [:]
    // Closed first: the locks belong to the process, and closing the last connection releases all of them.
    unsafe sqlite3_close_v2(handle)
    unsafe handle = nil
    isSpoilt = true
    unsafe handle = try SQLiteDatabase.open(path, readOnly: isReadOnly, vfs: vfs)
    unsafe sqlite3_busy_timeout(handle, busyTimeout)
    try execute(setUp)
    isSpoilt = false
  }

  /// Reads the whole file with a connection of its own.
  ///
  /// - Returns: what is wrong with the file; nil if it is not damaged.
  static func problem(of path: String, vfs: String? = nil) -> String? {
    do throws(SQLiteError) {
      let rows = try SQLiteDatabase(path: path, vfs: vfs).query("PRAGMA quick_check(1)")
      let text = rows.first?.first?.text ?? "no answer"
      return text == "ok" ? nil : text
    } catch {
      return error.isCorruption ? error.message : nil
    }
  }

  /// Waits until the name of the file is on disk, in a virtual file system. SQLite has it do that with the deletion of a file.
  func syncDirectory() throws(SQLiteError) {
    guard let found = unsafe sqlite3_vfs_find(vfs), let delete = unsafe found.pointee.xDelete else { return }
    let code = unsafe delete(found, path + "-none", 1)
    // SQLITE_IOERR_DELETE_NOENT, a macro that Swift does not import.
    guard code != SQLITE_OK, code != SQLITE_IOERR | (23 << 8) else { return }
    throw SQLiteError(
      code: code, operation: "write to disk", path: path, message: unsafe String(cString: sqlite3_errstr(code)))
  }

  /// A path, escaped for a URI.
  private static func escape(_ path: String) -> String {
    path.utf8.map { byte in
      let character = Character(Unicode.Scalar(byte))
      if byte < 0x80, character.isLetter || character.isNumber || "/-_.".contains(character) {
        return String(character)
      }
      let digits = String(byte, radix: 16)
      return "%" + (digits.count < 2 ? "0" : "") + digits
    }.joined()
  }

  deinit {
    unsafe statements.values.forEach { unsafe _ = sqlite3_finalize($0) }
    unsafe sqlite3_close_v2(handle)
  }

  /// Runs statements that return nothing and take no values.
  package func execute(_ script: String) throws(SQLiteError) {
    if unsafe handle == nil { try reopen() }
    try check(unsafe sqlite3_exec(handle, script, nil, nil, nil), "change the ledger")
  }

  /// Runs one statement with values for its parameters, and returns its rows.
  @discardableResult
  package func query(_ sql: String, _ values: SQLiteValue...) throws(SQLiteError) -> [[SQLiteValue]] {
    try query(sql, values)
  }

  @discardableResult
  package func query(_ sql: String, _ values: [SQLiteValue]) throws(SQLiteError) -> [[SQLiteValue]] {
    if isSpoilt, !isInTransaction { try reopen() }
    do {
      return try run(sql, values)
    } catch {
      if error.spoilsConnection { isSpoilt = true }
      // The pages in the log may fit into free pages of the file. Then the space of the log is free.
      if error.isFull, !isInTransaction {
        unsafe sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
      }
      throw error
    }
  }

  private func run(_ sql: String, _ values: [SQLiteValue]) throws(SQLiteError) -> [[SQLiteValue]] {
    let statement = try unsafe prepare(sql)
    defer {
      unsafe sqlite3_reset(statement)
      unsafe sqlite3_clear_bindings(statement)
    }
    for (index, value) in values.enumerated() { try unsafe bind(value, to: statement, at: Int32(index + 1)) }
    var rows: [[SQLiteValue]] = []
    while true {
      switch unsafe sqlite3_step(statement) {
      case SQLITE_ROW:
        let count = unsafe sqlite3_column_count(statement)
        rows.append((0..<count).map { unsafe SQLiteDatabase.column($0, of: statement) })
      case SQLITE_DONE: return rows
      case let code: throw failure(code, "use the ledger")
      }
    }
  }

  /// The number of rows that the last statement changed.
  package var changes: Int { unsafe handle.map { unsafe Int(sqlite3_changes($0)) } ?? 0 }

  /// The rowid of the last row that was added.
  package var lastRow: Int64 { unsafe handle.map { unsafe sqlite3_last_insert_rowid($0) } ?? 0 }

  private var isInTransaction: Bool { unsafe handle.map { unsafe sqlite3_get_autocommit($0) == 0 } ?? false }

  /// Runs a transaction. It takes the write lock at the start, so that what it reads does not change before it writes.
  package func transaction<Value>(_ body: () throws(SQLiteError) -> Value) throws(SQLiteError) -> Value {
    try query("BEGIN IMMEDIATE")
    do {
      let value = try body()
      try query("COMMIT")
      return value
    } catch {
      _ = try? query("ROLLBACK")
      if error.isFull { _ = try? query("PRAGMA wal_checkpoint(TRUNCATE)") }
      throw error
    }
  }

  private func prepare(_ sql: String) throws(SQLiteError) -> OpaquePointer {
    if let statement = unsafe statements[sql] { return unsafe statement }
    var statement: OpaquePointer?
    try check(
      unsafe sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil), "use the ledger")
    guard let statement = unsafe statement else { throw failure(SQLITE_MISUSE, "use the ledger") }
    unsafe statements[sql] = statement
    return unsafe statement
  }

  private func bind(_ value: SQLiteValue, to statement: OpaquePointer, at index: Int32) throws(SQLiteError) {
    // SQLITE_TRANSIENT, a cast that Swift does not import: SQLite makes a copy of the text.
    let transient = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
    let code =
      switch value {
      case .null: unsafe sqlite3_bind_null(statement, index)
      case .integer(let number): unsafe sqlite3_bind_int64(statement, index, number)
      case .text(let text): unsafe sqlite3_bind_text(statement, index, text, Int32(text.utf8.count), transient)
      }
    try check(code, "use the ledger")
  }

  private static func column(_ index: Int32, of statement: OpaquePointer) -> SQLiteValue {
    switch unsafe sqlite3_column_type(statement, index) {
    case SQLITE_NULL: return .null
    case SQLITE_INTEGER: return .integer(unsafe sqlite3_column_int64(statement, index))
    default:
      guard let bytes = unsafe sqlite3_column_text(statement, index) else { return .null }
      let count = Int(unsafe sqlite3_column_bytes(statement, index))
      return .text(unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self))
    }
  }

  private func check(_ code: Int32, _ operation: String) throws(SQLiteError) {
    guard code == SQLITE_OK else { throw failure(code, operation) }
  }

  private func failure(_ code: Int32, _ operation: String) -> SQLiteError {
    let extended = unsafe handle.map { unsafe sqlite3_extended_errcode($0) } ?? code
    let error = SQLiteError(
      code: extended != SQLITE_OK ? extended : code, operation: operation, path: path,
      message: unsafe String(cString: handle == nil ? sqlite3_errstr(code) : sqlite3_errmsg(handle)))
    if error.isCorruption { onCorruption?(error) }
    return error
  }
}
