package import Lifecycle
package import Systemd

/// The place where a reader continues, and what it may have missed.
extension EventReader {
  /// Moves to the position after an entry of any service, or to the place where the entry was.
  ///
  /// - Returns: a description of the place, if the entry is gone.
  func goAfter(_ cursor: JournalCursor) throws(SystemError) -> LostPlace? {
    // With matches the entry of another service would not be found, and the entry after it would not be the next one.
    journal.flushMatches()
    try source.addMachine(to: journal)
    var lost: LostPlace?
    if try journal.resume(after: cursor) == .lost {
      var place = LostPlace(cursor: cursor)
      if try journal.next() {
        place.next = JournalCursor(try journal.cursor())
        if try !journal.previous() { try journal.seekHead() }
      } else {
        // Entries that are written from now on may have earlier times than the cursor.
        try journal.seekTail()
        if try !journal.previous() { try journal.seekHead() }
      }
      try describe(&place)
      lost = place
    }
    journal.flushMatches()
    try source.addMatches(to: journal)
    return lost
  }

  /// Adds what the journal has around a place.
  private func describe(_ place: inout LostPlace) throws(SystemError) {
    let all = try host.open(source.selection.journal)
    place.isVolatile = source.selection.isLocal && !all.hasPersistentFiles
    try source.addMachine(to: all)
    try all.seekTail()
    if try all.previous() { place.newest = JournalCursor(try all.cursor()) }
    all.flushMatches()
    try source.addMachine(to: all)
    try all.addMatch("_BOOT_ID", place.cursor.boot)
    try all.seekHead()
    place.hasBoot = try all.next()
  }

  /// The last entry of the journal, if it is of a service that this reader does not read; nil otherwise.
  ///
  /// When everything before it was read, its cursor can replace that of the entry that was read last. When the journal is vacuumed it
  /// stays longer. So nothing seems to be missing after a time without messages of the manager.
  package func end() throws(SystemError) -> JournalCursor? {
    let all = try host.open(source.selection.journal)
    try source.addMachine(to: all)
    try all.seekTail()
    guard try all.previous() else { return nil }
    let entry = try all.entry(keeping: FieldSet(["_PID", "_TRANSPORT", "_UID"]))
    // An entry of the manager may exist that matches do not find yet.
    if entry["_TRANSPORT"] == "driver" { return nil }
    switch source.selection.manager {
    case .system: if entry["_PID"] == "1" { return nil }
    case .user(let uid): if entry["_UID"] == String(uid) { return nil }
    }
    return JournalCursor(entry.cursor)
  }

  /// Sets the cursor to an entry of `end()`, if that is after the entry that was read last.
  ///
  /// - Returns: whether it is.
  package func moveOn(to end: JournalCursor) -> Bool {
    if let cursor, end.boot == cursor.boot ? end.monotonic <= cursor.monotonic : end.realtime <= cursor.realtime {
      return false
    }
    cursor = end
    return true
  }

  // MARK: journald

  /// Adds a message of journald about itself to the batch, if the entry is one.
  func noteJournaldMessage(_ entry: JournalEntry, before last: String?, _ batch: inout Batch) {
    let scope =
      switch source.selection.manager {
      case .system: "init.scope"
      case .user(let uid): "user.slice/user-\(uid).slice/user@\(uid).service/init.scope"
      }
    guard let message = JournaldMessage(entry, machine: machine, scope: scope), let here = JournalCursor(entry.cursor)
    else { return }
    batch.notices.append((message, here, last.flatMap(JournalCursor.init) ?? cursor))
  }

  // MARK: Reconciliation

  /// Processes what a comparison with the manager has found, as if it had been read at this position.
  ///
  /// - Parameter now: when it was found, in microseconds since boot.
  package func take(_ findings: Reconciliation.Findings, boot: CurrentBoot, now: UInt64) -> Batch {
    var batch = Batch()
    batch.events = tracker.enter(boot.id, of: machine, at: now)
    for (key, state) in findings.adopted { tracker.adopt(state, for: key) }
    batch.events += findings.entries.flatMap { tracker.process($0) }
    batch.allChanges = tracker.takeChanges()
    return batch
  }
}
