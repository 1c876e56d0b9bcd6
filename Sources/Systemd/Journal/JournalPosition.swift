internal import CSystemd

/// The position of a reader.
extension Journal {
  /// Moves to the next entry. At the end it returns false; a later call finds entries that were written meanwhile.
  public func next() throws(SystemError) -> Bool {
    try SystemError.check(unsafe sd_journal_next(handle), "read the next journal entry") > 0
  }

  /// Moves to the previous entry; false at the beginning.
  public func previous() throws(SystemError) -> Bool {
    try SystemError.check(unsafe sd_journal_previous(handle), "read the previous journal entry") > 0
  }

  /// Moves before the first entry.
  public func seekHead() throws(SystemError) {
    try SystemError.check(unsafe sd_journal_seek_head(handle), "seek to the journal's head")
  }

  /// Moves after the last entry. Only `previous()` may follow: before systemd 254, `next()` returned old entries from there.
  public func seekTail() throws(SystemError) {
    try SystemError.check(unsafe sd_journal_seek_tail(handle), "seek to the journal's tail")
  }

  /// Moves before the first entry at or after a time in microseconds since 1970.
  public func seek(realtime: UInt64) throws(SystemError) {
    try SystemError.check(unsafe sd_journal_seek_realtime_usec(handle, realtime), "seek to a time in the journal")
  }

  /// Moves before the entry of a cursor. If that entry is gone, moves before the entry that followed it.
  public func seek(cursor: String) throws(SystemError) {
    try SystemError.check(unsafe sd_journal_seek_cursor(handle, cursor), "seek to the journal's cursor")
  }

  /// The result of `resume(after:)`.
  public enum Resumption: Sendable, Equatable {
    /// The cursor's entry exists; the next entry is the one after it.
    case found
    /// The cursor's entry is gone. The next entry is the first one after its time.
    case lost
  }

  /// Moves so that `next()` then returns the first entry after the cursor's, whether or not that entry still exists.
  ///
  /// This avoids three problems. If the entry was vacuumed, libsystemd moves to the entry after it, which must not be skipped.
  /// A flush from /run to /var renumbers entries. And with another sequence number id and a reboot in between, `next()` finds
  /// nothing until more is written (fixed in systemd 255, 254.7 and 252.20); then the search has to go by time.
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

  /// Moves back, so that `next()` returns the current entry.
  private func stepBack() throws(SystemError) {
    if try previous() { return }
    try seekHead()
  }
}
