internal import Glibc
package import JournalHookCore
package import Systemd

/// Which journal is read, and whose word counts in it.
package struct JournalSelection: Sendable, Equatable {
  package var journal: Journal.Source

  package init(journal: Journal.Source) { self.journal = journal }

  /// Whether it is this machine's own journal, so that its live manager can be asked.
  package var isLocal: Bool {
    switch journal {
    case .system, .currentUser, .namespace: true
    case .directory, .files: false
    }
  }

  /// Its name among the ledger's cursors.
  package var reader: String { isLocal ? "local" : "files" }
}

/// Reads lifecycle events out of a journal: a position, a decoder, and the tracker that knows what was before.
package struct EventReader: ~Copyable {
  private let journal: Journal
  private let decoder: EntryDecoder
  package private(set) var tracker: LifecycleTracker
  /// The cursor of the last entry that was read.
  package private(set) var cursor: String?

  /// - Throws: a `SystemError`; with `EACCES` when the caller may not read the journal.
  package init(_ source: JournalSelection, tracker: LifecycleTracker = LifecycleTracker()) throws(SystemError) {
    let journal = try Journal(source.journal)
    if source.isLocal { try EventReader.checkAccess(journal) }
    try EventReader.addMatches(journal)
    decoder = EntryDecoder(trust: source.isLocal ? .localSystem(machine: try Id128.machine()) : .anySystem)
    self.tracker = tracker
    self.journal = journal
  }

  /// libsystemd opens a journal that it may not read as an empty one.
  private static func checkAccess(_ journal: borrowing Journal) throws(SystemError) {
    guard !journal.hasFiles() else { return }
    let machine = try Id128.machine()
    for folder in ["/var/log/journal", "/run/log/journal"] {
      let path = "\(folder)/\(machine)/system.journal"
      if unsafe access(path, R_OK) != 0, errno == EACCES {
        throw SystemError("read the journal", path: path, code: EACCES)
      }
    }
  }

  // MARK: Position

  /// Goes behind the last entry, and returns its cursor; nil when there is none.
  package mutating func seekEnd() throws(SystemError) -> String? {
    try journal.seekTail()
    guard try journal.previous() else {
      try journal.seekHead()
      return nil
    }
    cursor = try journal.cursor()
    return cursor
  }

  /// Goes to the first entry at or after a time in microseconds since 1970.
  package func seek(realtime: UInt64) throws(SystemError) { try journal.seek(realtime: realtime) }

  /// Goes to the first entry.
  package func seekHead() throws(SystemError) { try journal.seekHead() }

  /// Goes behind the cursor's entry, or to where it was.
  package mutating func resume(after cursor: JournalCursor) throws(SystemError) -> Journal.Resumption {
    self.cursor = cursor.description
    return try journal.resume(after: cursor)
  }

  /// The time of the current entry in microseconds since 1970.
  package func currentRealtime() throws(SystemError) -> UInt64 { try journal.realtime() }

  // MARK: Reading

  /// What a look at the journal gave.
  package struct Batch {
    package var events: [LifecycleEvent] = []
    /// The cursor behind the last entry that was read; nil when none was.
    package var cursor: String?
    /// Units whose tracked state has changed.
    package var changes: Set<LifecycleTracker.Key> = []
    /// Whether everything that was there has been read.
    package var isAtEnd = false

    package var isEmpty: Bool { cursor == nil && events.isEmpty && changes.isEmpty }
  }

  /// Reads on, up to a number of entries, and not beyond a time in microseconds since 1970.
  package mutating func read(limit: Int, until end: UInt64 = .max) throws(SystemError) -> Batch {
    var batch = Batch()
    for _ in 0..<limit {
      guard try journal.next() else {
        batch.isAtEnd = true
        break
      }
      if end != .max, try journal.realtime() > end {
        batch.isAtEnd = true
        break
      }
      let entry = try journal.entry(keeping: EntryDecoder.needs(field:))
      batch.cursor = entry.cursor
      cursor = entry.cursor
      if let said = decoder.decode(entry) { batch.events += tracker.process(said) }
    }
    batch.changes = tracker.takeChanges()
    return batch
  }

  /// Whether an event waits for a time that may pass without another entry.
  package var isWaiting: Bool { tracker.isWaiting }

  /// The events that waited until now (this machine's CLOCK_MONOTONIC in microseconds; nil: all of them).
  package mutating func flush(until now: UInt64?) -> Batch {
    var batch = Batch()
    batch.events = if let now { tracker.flush(until: now) } else { tracker.flushAll() }
    batch.changes = tracker.takeChanges()
    return batch
  }

  // MARK: Following

  /// The descriptor that becomes readable when the journal changes.
  package func fileDescriptor() throws(SystemError) -> CInt { try journal.fileDescriptor() }

  /// Whether the descriptor tells every change.
  package var isReliable: Bool { journal.isReliable }

  /// Takes note of what has changed, new and removed journal files among it; to be called before reading on.
  package func process() throws(SystemError) {
    try journal.process()
    // journald first counts an entry and then lists it among those of each field. Who looks in between by a match does not
    // find it, and libsystemd remembers that this file had nothing more at that count: the entry would not be seen
    // before the next one is written. New matches make it forget that.
    journal.flushMatches()
    try EventReader.addMatches(journal)
  }

  /// libsystemd then walks only the entries of PID 1: some thousands in a journal of millions.
  private static func addMatches(_ journal: borrowing Journal) throws(SystemError) {
    try journal.addMatch("_PID", "1")
  }
}
