internal import Glibc
package import Lifecycle
package import Systemd

/// Reads the lifecycle events of one machine from a journal. It has a position, a decoder, and a tracker that knows the state of
/// the units at that position.
package final class EventReader {
  private(set) var source: MachineJournal
  var journal: any JournalFiles
  private let decoder: EntryDecoder
  /// The fields to read from an entry.
  var fields: FieldSet
  /// The state of the units at the position of this reader.
  package var tracker: LifecycleTracker
  /// The cursor of the last entry that was read, as text: it is parsed only when it is needed.
  private var lastCursor: String?
  /// The entry that was read last. The next one is read into the same memory.
  private var entry = JournalEntry()
  /// An error that came after the entries of the last batch. The next read throws it.
  private var failure: SystemError?
  /// The current boot of the machine, and the time of the entry that shows it.
  private var newest: (boot: String, time: UInt64)?
  /// Where reading starts, as long as no entry was read.
  private var start: Start = .head
  /// Earlier events are read for the tracker only, and not returned. Microseconds since 1970.
  private var firstTime: UInt64 = 0
  /// The changes that the running manager has sent on the bus; nil as long as the reader does not listen.
  var witness: BusWitness?
  private let oneshots: OneshotLookup?
  package let host: any ReadingHost
  var clocks: any Clocks { host.clocks }

  private enum Start {
    case head
    case cursor(String)
  }

  /// Makes a reader at the start of the journal.
  ///
  /// - Throws: an error with `EACCES` when the caller may not read the journal.
  init(
    _ source: MachineJournal, on host: any ReadingHost, tracker: LifecycleTracker = LifecycleTracker()
  ) throws(SystemError) {
    self.host = host
    self.source = source
    self.tracker = tracker
    decoder = EntryDecoder(trust: source.trust)
    fields =
      source.selection.includesJournald ? decoder.fields.union(FieldSet(JournaldMessage.fields)) : decoder.fields
    let isOfUser = source.selection.manager != .system
    oneshots = source.selection.isLocal && isOfUser ? OneshotLookup(clocks: host.clocks) : nil
    journal = try source.open(on: host)
    try journal.seekHead()
  }

  /// The id of the machine whose events it reads.
  package var machine: String { source.machine }
  /// The id of the current boot of the machine: this boot, or for another machine the boot of its newest entry.
  func newestBoot() -> String? {
    if newest == nil {
      if source.selection.isLocal {
        newest = (try? host.boot()).map { ($0, .max) }
      } else {
        newest = (try? BootList(source, on: host).newest()) ?? nil
      }
    }
    return newest?.boot
  }

  /// The boot of the entry that was read last.
  var boot: String? { tracker.boots[machine] }
  /// The cursor of the last entry that was read.
  package internal(set) var cursor: JournalCursor? {
    get { lastCursor.flatMap(JournalCursor.init) }
    set { lastCursor = newValue?.description }
  }
  /// Its name in the table of cursors of the ledger.
  package var name: String { source.name }

  // MARK: Position

  /// Moves to the end of the journal.
  ///
  /// - Returns: the cursor of the last entry; nil if there is none.
  package func seekEnd() throws(SystemError) -> JournalCursor? {
    try journal.seekTail()
    guard try journal.previous() else {
      try journal.seekHead()
      return nil
    }
    lastCursor = try journal.cursor()
    return cursor
  }

  /// Moves to a time, in microseconds since 1970. Earlier events are not returned.
  ///
  /// The meaning of entries depends on earlier entries of the same boot. So reading starts at the beginning of the boot.
  package func seek(realtime: UInt64) throws(SystemError) {
    firstTime = realtime
    // The tracked state belongs to another position.
    let boot = tracker.currentBoot
    tracker = LifecycleTracker()
    tracker.currentBoot = boot
    try journal.seek(realtime: realtime)
    if try journal.previous(), let head = try BootList(source, on: host).head(of: try journal.boot()) {
      try seek(head)
    } else {
      start = .head
      try journal.seekHead()
    }
  }

  /// Moves to the beginning of a boot.
  func seek(_ boot: BootList.Boot) throws(SystemError) {
    start = .cursor(boot.cursor)
    try journal.seek(cursor: boot.cursor)
  }

  /// Moves to the position after the entry of a cursor, or to the place where the entry was.
  ///
  /// - Parameter tracker: the state of the units at the cursor.
  /// - Returns: a description of the place, if the entry is gone.
  package func resume(after cursor: JournalCursor, tracker: LifecycleTracker) throws(SystemError) -> LostPlace? {
    let boot = self.tracker.currentBoot
    self.tracker = tracker
    self.tracker.currentBoot = boot
    self.cursor = cursor
    return try goAfter(cursor)
  }

  /// Opens the journal again, or other files of it, and keeps the position.
  ///
  /// - Returns: a description of the place, if the last entry that was read is gone.
  func reopen(_ source: MachineJournal) throws(SystemError) -> LostPlace? {
    journal = try source.open(on: host)
    self.source = source
    failure = nil
    if let cursor { return try goAfter(cursor) }
    switch start {
    case .head: try journal.seekHead()
    case .cursor(let cursor): try journal.seek(cursor: cursor)
    }
    return nil
  }

  // MARK: Reading

  /// The result of one read.
  package struct Batch {
    package var events: [LifecycleEvent] = []
    /// The cursor of the last entry that was read; nil if none was read.
    package var cursor: String?
    /// The units whose tracked state has changed.
    package var changes: Set<LifecycleTracker.Key> { Set(allChanges) }
    /// The same, with duplicates: to remove them takes time, and only the ledger needs it.
    var allChanges: [LifecycleTracker.Key] = []
    /// Messages of journald about itself, each with the cursor of its entry and the cursor before it.
    package var notices: [(message: JournaldMessage, at: JournalCursor, before: JournalCursor?)] = []
    /// Whether the end of the journal, or of the time span, was reached.
    package var isAtEnd = false

    package var isEmpty: Bool { cursor == nil && events.isEmpty && allChanges.isEmpty }
  }

  /// Reads the next entries.
  ///
  /// - Parameters:
  ///   - limit: at most this many entries.
  ///   - end: later events are not returned, in microseconds since 1970.
  package func read(limit: Int, until end: UInt64 = .max) throws(SystemError) -> Batch {
    if let failure {
      self.failure = nil
      throw failure
    }
    var batch = Batch()
    batch.events.reserveCapacity(min(limit, 16))
    // The entry is moved to a local variable while it is used: this way it has only one owner and is not copied.
    var entry = JournalEntry()
    swap(&entry, &self.entry)
    defer { swap(&entry, &self.entry) }
    do throws(SystemError) {
      for _ in 0..<limit {
        guard try journal.next() else {
          batch.isAtEnd = true
          break
        }
        // An event that waits for its last message gets the time of that message. So it is not known yet whether it is in the span.
        if end != .max, !tracker.isWaiting, try journal.realtime() > end {
          batch.isAtEnd = true
          break
        }
        try readEntry(into: &entry)
        if source.selection.includesJournald { noteJournaldMessage(entry, before: batch.cursor, &batch) }
        batch.cursor = entry.cursor
        if let known = newest, entry.realtime > known.time { newest = (entry.boot, entry.realtime) }
        if let message = decoder.decode(entry) {
          process(message, sentAt: witness == nil ? nil : sendingTime(of: entry), into: &batch.events)
        }
      }
    } catch {
      // The entries before the error are returned first: the reader is already after them.
      if batch.cursor == nil { throw error }
      failure = error
    }
    if batch.isAtEnd, tracker.isWaiting, let ended = witness?.endsWithoutJob(in: tracker), !ended.isEmpty {
      batch.events += tracker.emit(ended)
    }
    if let cursor = batch.cursor { lastCursor = cursor }
    if firstTime > 0 || end < .max { batch.events.removeAll { $0.realtime < firstTime || $0.realtime > end } }
    batch.allChanges = tracker.takeChanges()
    return batch
  }

  /// Reads the current entry with all its fields.
  ///
  /// libsystemd omits a field that it cannot read at this moment. This was seen once in 50,000 entries that were read while journald
  /// wrote and rotated its files. Every entry of a manager has the fields below: if one is missing, the entry is read again after a
  /// millisecond.
  private func readEntry(into entry: inout JournalEntry) throws(SystemError) {
    try journal.read(into: &entry, keeping: fields)
    for _ in 0..<5 where source.selection.isLocal {
      let required: [StaticString] = ["MESSAGE", "_PID", "_UID", "_TRANSPORT", "_MACHINE_ID"]
      let isComplete = required.allSatisfy { entry.has($0) }
      if isComplete { break }
      _ = poll(nil, 0, 1)
      try journal.read(into: &entry, keeping: fields)
    }
  }

  /// Skips an entry that cannot be read.
  package func skipEntry() {
    _ = try? journal.next()
    if let here = try? journal.cursor() { lastCursor = here }
  }

  /// Whether an event waits for a time that may pass without another entry.
  package var isWaiting: Bool { tracker.isWaiting }

  /// The events that have waited for their last message for too long.
  ///
  /// - Parameter now: CLOCK_MONOTONIC of this machine in microseconds; nil: returns all events that wait.
  package func flush(until now: UInt64?) -> Batch {
    var batch = Batch()
    batch.events = failedStarts()
    batch.events += now.map { tracker.flush(until: $0) } ?? tracker.flushAll()
    batch.events.removeAll { $0.realtime < firstTime }
    batch.allChanges = tracker.takeChanges()
    return batch
  }

  /// When the manager has sent an entry, in microseconds since boot: journald may have received it much later.
  private func sendingTime(of entry: JournalEntry) -> UInt64? {
    guard let sent = entry["_SOURCE_REALTIME_TIMESTAMP"].flatMap({ UInt64($0) }), sent <= entry.realtime else {
      return nil
    }
    return entry.monotonic &- min(entry.realtime - sent, entry.monotonic)
  }

  private func process(_ message: consuming ManagerEntry, sentAt: UInt64?, into events: inout [LifecycleEvent]) {
    if message.mayHaveFinished { message.remainsAfterExit = oneshots?.remainsAfterExit(message.unit) }
    if witness != nil {
      events += failedStarts()
      while let missed = witness?.unexplained(by: tracker, before: message, saidAt: sentAt), !missed.isEmpty {
        events += missed.flatMap { tracker.process($0) }
      }
    }
    tracker.process(message, into: &events)
  }

  // MARK: Following

  /// The descriptor that becomes readable when the journal changes.
  func fileDescriptor() throws(SystemError) -> CInt { try journal.fileDescriptor() }

  /// Whether the descriptor reports every change.
  var isReliable: Bool { journal.isReliable }

  /// Makes new entries in the open files visible. To be called before reading on.
  package func refresh() throws(SystemError) {
    // journald first counts an entry, and then adds it to the lists of its fields. A reader with matches that looks in between
    // does not find the entry, and libsystemd remembers that the file had nothing more at that count: the entry would not be
    // found until the next one is written. New matches reset that.
    journal.flushMatches()
    try source.addMatches(to: journal)
  }

  /// Opens new files and closes removed ones. The content of removed files has to be read before.
  ///
  /// - Returns: what has changed. If anything has, there may be more to read.
  package func process() throws(SystemError) -> Journal.Change { try journal.process() }
}
