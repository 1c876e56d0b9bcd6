internal import CSystemd
internal import Glibc

/// A reader of the journal.
///
/// It has one position. `next()` moves it forward entry by entry, through all files that the reader covers, in the order of
/// their times. The corresponding C object is `sd_journal`; see sd-journal(3).
@safe public struct Journal: ~Copyable {
  /// Which journal files a reader covers.
  public enum Source: Sendable, Equatable {
    /// The system journal of this machine: files of system services and the kernel, not of users.
    case system
    /// The journals of this machine that may hold what the calling user's services say: the user's own, and the system's,
    /// where journald keeps it without `SplitMode=uid` or on volatile storage, if the caller may read it.
    case currentUser
    /// The system journal of a journal namespace (systemd-journald@.service). As with journalctl, `*` stands for all
    /// namespaces, and `+NAME` for one and the default one.
    case namespace(String)
    /// All files in a directory and in its machine directories.
    case directory(String)
    /// The files that these globs name.
    case files([String])
  }

  private let handle: OpaquePointer

  /// Opens the journal files of a source.
  ///
  /// - Throws: `EACCES` when files exist and none may be read; `ENOENT` when a directory or a named file does not exist.
  public init(_ source: Source) throws(SystemError) {
    var handle: OpaquePointer?
    switch source {
    case .system:
      try SystemError.check(
        unsafe sd_journal_open(&handle, CInt(SD_JOURNAL_LOCAL_ONLY) | CInt(SD_JOURNAL_SYSTEM)),
        "open the system journal")
    case .currentUser:
      try SystemError.check(
        unsafe sd_journal_open(
          &handle, CInt(SD_JOURNAL_LOCAL_ONLY) | CInt(SD_JOURNAL_CURRENT_USER) | CInt(SD_JOURNAL_SYSTEM)),
        "open the user's journal")
    case .namespace(let name):
      var flags = CInt(SD_JOURNAL_LOCAL_ONLY) | CInt(SD_JOURNAL_SYSTEM)
      if name == "*" { flags |= CInt(SD_JOURNAL_ALL_NAMESPACES) }
      if name.hasPrefix("+") { flags |= CInt(SD_JOURNAL_INCLUDE_DEFAULT_NAMESPACE) }
      let plain = name == "*" ? nil : name.hasPrefix("+") ? String(name.dropFirst()) : name
      try SystemError.check(
        unsafe sd_journal_open_namespace(&handle, plain, flags), "open the journal namespace", path: name)
    case .directory(let path):
      try SystemError.check(
        unsafe sd_journal_open_directory(&handle, path, 0), "open the journal directory", path: path)
    case .files(let globs):
      let paths = try Journal.expand(globs)
      var pointers = unsafe paths.map { unsafe strdup($0) } + [nil]
      defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
      try unsafe pointers.withUnsafeMutableBufferPointer { (buffer) throws(SystemError) in
        _ = try unsafe buffer.withMemoryRebound(to: UnsafePointer<CChar>?.self) { (buffer) throws(SystemError) in
          try SystemError.check(
            unsafe sd_journal_open_files(&handle, buffer.baseAddress, 0), "open the journal file",
            path: globs.joined(separator: " "))
        }
      }
    }
    guard let handle = unsafe handle else { throw SystemError("open the journal", code: EINVAL) }
    unsafe self.handle = handle
  }

  deinit { unsafe sd_journal_close(handle) }

  /// The glob that names just this file.
  public static func glob(naming path: String) -> String {
    String(decoding: path.utf8.flatMap { "*?[\\".utf8.contains($0) ? [UInt8(ascii: "\\"), $0] : [$0] }, as: UTF8.self)
  }

  /// The files that globs name (glob(7)).
  ///
  /// - Throws: `ENOENT` when one of them names none.
  public static func expand(_ globs: [String]) throws(SystemError) -> [String] {
    var paths: [String] = []
    for pattern in globs {
      // A single name is not looked for: glob(3) would not say why it cannot be found.
      if let path = literal(pattern) {
        var status = stat()
        try SystemError.checkErrno(unsafe stat(path, &status), "find the journal file", path: path)
        paths.append(path)
        continue
      }
      var found = unsafe glob_t()
      defer { unsafe globfree(&found) }
      // A directory that cannot be listed now must not look like one without files.
      let status = unsafe Glibc.glob(pattern, 0, { _, code in SystemError.isTemporary(code) ? 1 : 0 }, &found)
      guard status == 0 else {
        let code =
          switch status {
          case GLOB_NOMATCH: ENOENT
          case GLOB_NOSPACE: ENOMEM
          default: EIO
          }
        throw SystemError("find journal files by", path: pattern, code: code)
      }
      for index in 0..<Int(unsafe found.gl_pathc) {
        if let path = unsafe found.gl_pathv[index] { paths.append(unsafe String(cString: path)) }
      }
    }
    return paths
  }

  /// The name that a pattern without wildcards stands for; nil for one with wildcards.
  private static func literal(_ pattern: String) -> String? {
    var bytes: [UInt8] = []
    var rest = pattern.utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
        bytes.append(escaped)
      } else if "*?[".utf8.contains(byte) {
        return nil
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Matches

  /// Reads only entries in which a field has this value. Matches on one field are alternatives, on different fields all
  /// must hold. The corresponding C function is `sd_journal_add_match`.
  public func addMatch(_ field: String, _ value: String) throws(SystemError) {
    let text = "\(field)=\(value)"
    try SystemError.check(unsafe sd_journal_add_match(handle, text, 0), "add the match", path: text)
  }

  /// Takes all matches back, and makes `next()` look at every file anew, from the same position on.
  public func flushMatches() { unsafe sd_journal_flush_matches(handle) }

  /// Begins an alternative: entries count that fit the matches before it or those after it.
  public func addDisjunction() throws(SystemError) {
    try SystemError.check(unsafe sd_journal_add_disjunction(handle), "add a disjunction")
  }

  // MARK: Position

  /// Goes to the next entry; false at the end, where a later call finds what has been written meanwhile.
  public func next() throws(SystemError) -> Bool {
    try SystemError.check(unsafe sd_journal_next(handle), "read the next journal entry") > 0
  }

  /// Goes to the previous entry; false at the beginning.
  public func previous() throws(SystemError) -> Bool {
    try SystemError.check(unsafe sd_journal_previous(handle), "read the previous journal entry") > 0
  }

  /// Goes before the first entry.
  public func seekHead() throws(SystemError) {
    try SystemError.check(unsafe sd_journal_seek_head(handle), "seek to the journal's head")
  }

  /// Goes behind the last entry. Only `previous()` leads on from there: `next()` after it returned old entries before
  /// systemd 254.
  public func seekTail() throws(SystemError) {
    try SystemError.check(unsafe sd_journal_seek_tail(handle), "seek to the journal's tail")
  }

  /// Goes before the first entry at or after a time in microseconds since 1970.
  public func seek(realtime: UInt64) throws(SystemError) {
    try SystemError.check(unsafe sd_journal_seek_realtime_usec(handle, realtime), "seek to a time in the journal")
  }

  /// Goes before the entry of a cursor, or to where it was.
  public func seek(cursor: String) throws(SystemError) {
    try SystemError.check(unsafe sd_journal_seek_cursor(handle, cursor), "seek to the journal's cursor")
  }

  /// Where `resume(after:)` found itself.
  public enum Resumption: Sendable, Equatable {
    /// The cursor's entry is there; the next entry is the one behind it.
    case found
    /// The cursor's entry is gone. The next entry is the first after its time, if there is one.
    case lost
  }

  /// Places the reader so that the next `next()` gives the first entry after the cursor's, whether or not that entry still
  /// exists.
  ///
  /// Three traps are behind it: a vacuumed entry makes libsystemd go to its successor, which must not be skipped; a flush
  /// from /run to /var renumbers entries; and with a foreign sequence number id and a reboot in between, `next()` finds
  /// nothing until more is written (fixed in systemd 255, 254.7 and 252.20), so that the time has to lead.
  public func resume(after cursor: JournalCursor) throws(SystemError) -> Resumption {
    try SystemError.check(unsafe sd_journal_seek_cursor(handle, cursor.description), "seek to the journal's cursor")
    if try next() {
      if let here = JournalCursor(try self.cursor()), here.namesSameEntry(as: cursor) { return .found }
      try stepBack()
      return .lost
    }
    try seek(realtime: cursor.realtime)
    while try next() {
      guard let here = JournalCursor(try self.cursor()) else { continue }
      if here.namesSameEntry(as: cursor) { return .found }
      if here.boot != cursor.boot || here.monotonic > cursor.monotonic {
        try stepBack()
        return .lost
      }
    }
    return .lost
  }

  /// Makes the current entry the one that `next()` gives.
  private func stepBack() throws(SystemError) {
    if try previous() { return }
    try seekHead()
  }

  // MARK: The current entry

  /// The current entry's cursor.
  public func cursor() throws(SystemError) -> String {
    var text: UnsafeMutablePointer<CChar>?
    try SystemError.check(unsafe sd_journal_get_cursor(handle, &text), "get the journal's cursor")
    guard let text = unsafe text else { throw SystemError("get the journal's cursor", code: ENOMEM) }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
  }

  /// The boot of the current entry: 32 hexadecimal digits.
  public func boot() throws(SystemError) -> String {
    var monotonic: UInt64 = 0
    var boot = sd_id128_t()
    try SystemError.check(unsafe sd_journal_get_monotonic_usec(handle, &monotonic, &boot), "get an entry's boot")
    return boot.hexadecimal
  }

  /// All values that a field has in the files, whatever the matches and the position are. The corresponding C functions are
  /// `sd_journal_query_unique` and `sd_journal_enumerate_available_unique`.
  public func values(of field: String) throws(SystemError) -> [String] {
    try SystemError.check(unsafe sd_journal_query_unique(handle, field), "look for the values of", path: field)
    var values: [String] = []
    while true {
      var data: UnsafeRawPointer?
      var length = 0
      let found = try SystemError.check(
        unsafe sd_journal_enumerate_available_unique(handle, &data, &length), "look for the values of", path: field)
      guard found > 0, let data = unsafe data else { return values }
      let bytes = unsafe UnsafeRawBufferPointer(start: data, count: length).dropFirst(field.utf8.count + 1)
      values.append(unsafe String(decoding: bytes, as: UTF8.self))
    }
  }

  /// The current entry's time of reception in microseconds since 1970.
  public func realtime() throws(SystemError) -> UInt64 {
    var time: UInt64 = 0
    try SystemError.check(unsafe sd_journal_get_realtime_usec(handle, &time), "get an entry's time")
    return time
  }

  /// Copies the current entry, with the wanted fields; nil stands for all.
  public func entry(keeping wanted: FieldSet? = nil) throws(SystemError) -> JournalEntry {
    var entry = JournalEntry()
    try read(into: &entry, keeping: wanted)
    return entry
  }

  /// Copies the current entry over another one, whose memory is used again.
  public func read(into entry: inout JournalEntry, keeping wanted: FieldSet? = nil) throws(SystemError) {
    entry.removeFields()
    var boot = sd_id128_t()
    try SystemError.check(
      unsafe sd_journal_get_monotonic_usec(handle, &entry.monotonic, &boot), "get an entry's boot")
    entry.setBoot(boot)
    unsafe sd_journal_restart_data(handle)
    while true {
      var data: UnsafeRawPointer?
      var length = 0
      let found = try SystemError.check(
        unsafe sd_journal_enumerate_available_data(handle, &data, &length), "read an entry's fields")
      guard found > 0, let data = unsafe data else { break }
      guard let equals = unsafe memchr(data, CInt(UInt8(ascii: "=")), length) else { continue }
      let name = unsafe UnsafeRawBufferPointer(start: data, count: UnsafeRawPointer(equals) - data)
      let hash = unsafe FieldSet.hash(name)
      if let wanted, !wanted.contains(hash) { continue }
      unsafe entry.append(UnsafeRawBufferPointer(start: data, count: length), name: name.count, hash: hash)
    }
    entry.cursor = try cursor()
    entry.realtime = try realtime()
  }

  // MARK: Following

  /// The descriptor that becomes readable when the journal changes; it belongs to the reader.
  public func fileDescriptor() throws(SystemError) -> CInt {
    try SystemError.check(unsafe sd_journal_get_fd(handle), "watch the journal")
  }

  /// The poll events to wait for on the descriptor.
  public func events() throws(SystemError) -> CInt {
    try SystemError.check(unsafe sd_journal_get_events(handle), "watch the journal")
  }

  /// Whether the descriptor tells every change. Where it does not (network file systems), the reader has to be looked at
  /// regularly.
  public var isReliable: Bool { unsafe sd_journal_reliable_fd(handle) > 0 }

  /// What `process()` found.
  public enum Change: Sendable {
    case none, appended, invalidated
  }

  /// Takes note of new and removed files. Has to be called before reading on, since entries of a new file are seen only after
  /// it, and deleted files stay open without it.
  @discardableResult
  public func process() throws(SystemError) -> Change {
    switch try SystemError.check(unsafe sd_journal_process(handle), "look for journal changes") {
    case CInt(SD_JOURNAL_APPEND): .appended
    case CInt(SD_JOURNAL_INVALIDATE): .invalidated
    default: .none
    }
  }

  /// Whether any of the files is one that lasts, below /var/log/journal.
  public var hasPersistentFiles: Bool { unsafe sd_journal_has_persistent_files(handle) > 0 }

  /// Whether there is any file to read that the caller may read: false when all were refused or none exists.
  public func hasFiles() -> Bool {
    unsafe (sd_journal_has_runtime_files(handle) > 0 || sd_journal_has_persistent_files(handle) > 0)
  }
}
