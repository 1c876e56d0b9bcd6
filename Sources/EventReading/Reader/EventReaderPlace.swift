package import Lifecycle
package import Systemd

/// Where a reader goes on, and what it may have missed.
extension EventReader {
  /// Goes behind an entry, of whatever service, or to where it was.
  ///
  /// - Returns: what there is instead, if the entry is gone.
  func goBehind(_ cursor: JournalCursor) throws(SystemError) -> LostPlace? {
    // By matches the entry of another service would not be found, and what follows not be the next one.
    journal.flushMatches()
    try source.addMachine(to: journal)
    var lost: LostPlace?
    if try journal.resume(after: cursor) == .lost {
      var place = LostPlace(cursor: cursor)
      if try journal.next() {
        place.next = JournalCursor(try journal.cursor())
        if try !journal.previous() { try journal.seekHead() }
      } else {
        // What is written from now on may be earlier than the cursor.
        try journal.seekTail()
        if try !journal.previous() { try journal.seekHead() }
      }
      try look(around: &place)
      lost = place
    }
    journal.flushMatches()
    try source.addMatches(to: journal)
    return lost
  }

  private func look(around place: inout LostPlace) throws(SystemError) {
    let all = try Journal(source.selection.journal)
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

  /// The journal's last entry, of whatever service but those that are read; nil if there is none or it is one of those.
  ///
  /// Once all was read that was there before it was asked for, it can stand for the entry that was read last. It outlives that
  /// one when the journal is vacuumed, so that nothing seems to be missing while the manager had nothing to say.
  package func end() throws(SystemError) -> JournalCursor? {
    let all = try Journal(source.selection.journal)
    try source.addMachine(to: all)
    try all.seekTail()
    guard try all.previous() else { return nil }
    let entry = try all.entry(keeping: FieldSet(["_PID", "_TRANSPORT", "_UID"]))
    // An entry of the manager may be there and not be found by matches yet.
    if entry["_TRANSPORT"] == "driver" { return nil }
    switch source.selection.manager {
    case .system: if entry["_PID"] == "1" { return nil }
    case .user(let uid): if entry["_UID"] == String(uid) { return nil }
    }
    return JournalCursor(entry.cursor)
  }

  /// Takes an entry that is behind all that was read for the one that was read last.
  ///
  /// - Returns: whether it is behind.
  package func moveOn(to end: JournalCursor) -> Bool {
    if let cursor, end.boot == cursor.boot ? end.monotonic <= cursor.monotonic : end.realtime <= cursor.realtime {
      return false
    }
    cursor = end
    return true
  }

  // MARK: journald

  /// Takes note of what journald tells or shows of itself.
  func hear(_ entry: JournalEntry, before last: String?, _ batch: inout Batch) {
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

  /// The events of what was found by comparing, as if it had been read here.
  package func take(_ findings: Reconciliation.Findings, boot: CurrentBoot, now: UInt64) -> Batch {
    var batch = Batch()
    batch.events = tracker.enter(boot.id, of: machine, at: now)
    for (key, state) in findings.adopted { tracker.adopt(state, for: key) }
    batch.events += findings.entries.flatMap { tracker.process($0) }
    batch.allChanges = tracker.takeChanges()
    return batch
  }
}
