internal import CSystemd
internal import Glibc

/// A reader of the journal.
///
/// The reader has one position. `next()` moves it to the next entry in the order of time, across all files of the source. The
/// corresponding C object is `sd_journal`; see sd-journal(3).
@safe public struct Journal: ~Copyable {
  /// The journal files that are read.
  public enum Source: Sendable, Equatable {
    /// The system journal of this machine: the files of system services and the kernel, not those of users.
    case system
    /// The journals of this machine that may have messages of the calling user's services: the user's own journal, and the
    /// system journal, if the caller may read it. journald writes the messages there without `SplitMode=uid` or on volatile
    /// storage.
    case currentUser
    /// The system journal of a journal namespace (systemd-journald@.service). As with journalctl, `*` stands for all
    /// namespaces, and `+NAME` for a namespace and the default one.
    case namespace(String)
    /// All files in a directory and in its subdirectories for machines.
    case directory(String)
    /// The files that match these globs.
    case files([String])
  }

  let handle: OpaquePointer

  /// Opens the journal files of a source.
  ///
  /// - Throws: `EACCES` if files exist and none may be read; `ENOENT` if a directory or a named file does not exist.
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

  // MARK: Matches

  /// Restricts reading to entries in which a field has this value. If there are several matches, an entry must fit one of those
  /// for each field. The corresponding C function is `sd_journal_add_match`.
  public func addMatch(_ field: String, _ value: String) throws(SystemError) {
    let text = "\(field)=\(value)"
    try SystemError.check(unsafe sd_journal_add_match(handle, text, 0), "add the match", path: text)
  }

  /// Removes all matches, and makes `next()` search every file again from the current position.
  public func flushMatches() { unsafe sd_journal_flush_matches(handle) }

  /// Starts another group of matches: an entry must fit the matches before it or those after it.
  public func addDisjunction() throws(SystemError) {
    try SystemError.check(unsafe sd_journal_add_disjunction(handle), "add a disjunction")
  }

  // MARK: Following

  /// The descriptor that becomes readable when the journal changes. The reader keeps its ownership.
  public func fileDescriptor() throws(SystemError) -> CInt {
    try SystemError.check(unsafe sd_journal_get_fd(handle), "watch the journal")
  }

  /// The events of poll(2) to wait for on the descriptor.
  public func events() throws(SystemError) -> CInt {
    try SystemError.check(unsafe sd_journal_get_events(handle), "watch the journal")
  }

  /// Whether the descriptor reports every change. If it does not, as on network file systems, `process()` has to be called
  /// regularly.
  public var isReliable: Bool { unsafe sd_journal_reliable_fd(handle) > 0 }

  /// The change that `process()` found.
  public enum Change: Sendable {
    case none, appended, invalidated
  }

  /// Looks for new and removed files. Call it before reading on: without it, entries in new files are not found, and deleted
  /// files stay open.
  @discardableResult
  public func process() throws(SystemError) -> Change {
    switch try SystemError.check(unsafe sd_journal_process(handle), "look for journal changes") {
    case CInt(SD_JOURNAL_APPEND): .appended
    case CInt(SD_JOURNAL_INVALIDATE): .invalidated
    default: .none
    }
  }

  /// Whether any of the files is persistent, that is below /var/log/journal.
  public var hasPersistentFiles: Bool { unsafe sd_journal_has_persistent_files(handle) > 0 }

  /// Whether there is a file that the caller may read.
  public func hasFiles() -> Bool {
    unsafe (sd_journal_has_runtime_files(handle) > 0 || sd_journal_has_persistent_files(handle) > 0)
  }
}
