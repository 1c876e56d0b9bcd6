internal import Glibc
package import Lifecycle
package import Systemd

/// Reads the lifecycle events of one machine out of a journal: a position, a decoder, and the tracker that knows what was
/// before.
package final class EventReader {
  private(set) var source: MachineJournal
  var journal: Journal
  private let decoder: EntryDecoder
  /// The fields that are read of an entry.
  private var fields: FieldSet
  package var tracker: LifecycleTracker
  /// The cursor of the last entry that was read, as text: it is taken apart only when it is asked for.
  private var lastCursor: String?
  /// The entry that was read last; the next one is read into the same memory.
  private var entry = JournalEntry()
  /// What came between the entries of the last batch and the next, to be thrown instead of that.
  private var failure: SystemError?
  /// The boot that the machine is in, and the time that tells it.
  private var newest: (boot: String, time: UInt64)?
  /// Where reading begins, as long as no entry has been read.
  private var start: Start = .head
  /// Events before this time only lead up to those that are asked for.
  private var firstTime: UInt64 = 0
  /// What the live manager has told, while it is listened to.
  private var witness: BusWitness?
  private let oneshots: OneshotLookup?

  private enum Start {
    case head
    case cursor(String)
  }

  /// A reader before the first entry.
  ///
  /// - Throws: with `EACCES` when the caller may not read the journal.
  init(_ source: MachineJournal, tracker: LifecycleTracker = LifecycleTracker()) throws(SystemError) {
    self.source = source
    self.tracker = tracker
    decoder = EntryDecoder(trust: source.trust)
    fields =
      source.selection.includesJournald ? decoder.fields.union(FieldSet(JournaldMessage.fields)) : decoder.fields
    let isOfUser = source.selection.manager != .system
    oneshots = source.selection.isLocal && isOfUser ? OneshotLookup() : nil
    journal = try source.open()
    try journal.seekHead()
  }

  /// The machine whose events these are.
  package var machine: String { source.machine }
  /// The boot that the machine is in: of its newest entry, or this machine's own.
  func newestBoot() -> String? {
    if newest == nil {
      if source.selection.isLocal {
        newest = (try? Id128.boot()).map { ($0, .max) }
      } else {
        newest = (try? BootList(source).newest()) ?? nil
      }
    }
    return newest?.boot
  }

  /// The boot of what was read last.
  var boot: String? { tracker.boots[machine] }
  /// The cursor of the last entry that was read.
  package internal(set) var cursor: JournalCursor? {
    get { lastCursor.flatMap(JournalCursor.init) }
    set { lastCursor = newValue?.description }
  }
  /// Its name among the ledger's cursors.
  package var name: String { source.name }

  // MARK: Position

  /// Goes behind the last entry, and returns its cursor; nil when there is none.
  package func seekEnd() throws(SystemError) -> JournalCursor? {
    try journal.seekTail()
    guard try journal.previous() else {
      try journal.seekHead()
      return nil
    }
    lastCursor = try journal.cursor()
    return cursor
  }

  /// Gives the events from a time on, in microseconds since 1970.
  ///
  /// What a unit does then depends on what it did before; so reading begins where nothing was before: at the boot.
  package func seek(realtime: UInt64) throws(SystemError) {
    firstTime = realtime
    // What was known belongs to another place.
    let boot = tracker.currentBoot
    tracker = LifecycleTracker()
    tracker.currentBoot = boot
    try journal.seek(realtime: realtime)
    if try journal.previous(), let head = try BootList(source).head(of: try journal.boot()) {
      try seek(head)
    } else {
      start = .head
      try journal.seekHead()
    }
  }

  /// Goes to the beginning of a boot.
  func seek(_ boot: BootList.Boot) throws(SystemError) {
    start = .cursor(boot.cursor)
    try journal.seek(cursor: boot.cursor)
  }

  /// Goes behind the cursor's entry, or to where it was, with what the tracker knew there.
  ///
  /// - Returns: what there is instead, if the entry is gone.
  package func resume(after cursor: JournalCursor, tracker: LifecycleTracker) throws(SystemError) -> LostPlace? {
    let boot = self.tracker.currentBoot
    self.tracker = tracker
    self.tracker.currentBoot = boot
    self.cursor = cursor
    return try goBehind(cursor)
  }

  /// Opens the journal anew, or other files of it, and stays where it is.
  func reopen(_ source: MachineJournal) throws(SystemError) -> LostPlace? {
    journal = try source.open()
    self.source = source
    failure = nil
    if let cursor { return try goBehind(cursor) }
    switch start {
    case .head: try journal.seekHead()
    case .cursor(let cursor): try journal.seek(cursor: cursor)
    }
    return nil
  }

  // MARK: Reading

  /// What a look at the journal gave.
  package struct Batch {
    package var events: [LifecycleEvent] = []
    /// The cursor behind the last entry that was read; nil when none was.
    package var cursor: String?
    /// Units whose tracked state has changed.
    package var changes: Set<LifecycleTracker.Key> { Set(allChanges) }
    /// The same, once for each time: who only shows events need not know each once.
    var allChanges: [LifecycleTracker.Key] = []
    /// What journald has told of itself, and when: the entry's place and that of the one before.
    package var notices: [(message: JournaldMessage, at: JournalCursor, before: JournalCursor?)] = []
    /// Whether everything that was there has been read.
    package var isAtEnd = false

    package var isEmpty: Bool { cursor == nil && events.isEmpty && allChanges.isEmpty }
  }

  /// Reads on, up to a number of entries, and gives the events up to a time in microseconds since 1970.
  package func read(limit: Int, until end: UInt64 = .max) throws(SystemError) -> Batch {
    if let failure {
      self.failure = nil
      throw failure
    }
    var batch = Batch()
    batch.events.reserveCapacity(min(limit, 16))
    // Taken out of here for as long as it is read into, so that nobody else can change it and it need not be copied.
    var entry = JournalEntry()
    swap(&entry, &self.entry)
    defer { swap(&entry, &self.entry) }
    do throws(SystemError) {
      for _ in 0..<limit {
        guard try journal.next() else {
          batch.isAtEnd = true
          break
        }
        // What still waits for its last message has that message's time.
        if end != .max, !tracker.isWaiting, try journal.realtime() > end {
          batch.isAtEnd = true
          break
        }
        try readEntry(into: &entry)
        if source.selection.includesJournald { hear(entry, before: batch.cursor, &batch) }
        batch.cursor = entry.cursor
        if let known = newest, entry.realtime > known.time { newest = (entry.boot, entry.realtime) }
        if let said = decoder.decode(entry) {
          process(said, saidAt: witness == nil ? nil : timeOfSaying(entry), into: &batch.events)
        }
      }
    } catch {
      // What was read before is dealt with first: the reader is behind it already.
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
  /// libsystemd leaves out a field that it cannot read at this moment, seen once in 50,000 entries that were read while
  /// journald wrote and rotated. Every entry of a manager has these fields: without one it is read again, after a moment.
  private func readEntry(into entry: inout JournalEntry) throws(SystemError) {
    try journal.read(into: &entry, keeping: fields)
    for _ in 0..<5 where source.selection.isLocal {
      let ofAll: [StaticString] = ["MESSAGE", "_PID", "_UID", "_TRANSPORT", "_MACHINE_ID"]
      let isWhole = ofAll.allSatisfy { entry.has($0) }
      if isWhole { break }
      _ = poll(nil, 0, 1)
      try journal.read(into: &entry, keeping: fields)
    }
  }

  /// Passes over an entry that cannot be read.
  package func skipEntry() {
    _ = try? journal.next()
    if let here = try? journal.cursor() { lastCursor = here }
  }

  /// Whether an event waits for a time that may pass without another entry.
  package var isWaiting: Bool { tracker.isWaiting }

  /// The events that waited until now (this machine's CLOCK_MONOTONIC in microseconds; nil: all of them).
  package func flush(until now: UInt64?) -> Batch {
    var batch = Batch()
    batch.events = failedStarts()
    batch.events += now.map { tracker.flush(until: $0) } ?? tracker.flushAll()
    batch.events.removeAll { $0.realtime < firstTime }
    batch.allChanges = tracker.takeChanges()
    return batch
  }

  /// When the manager has sent an entry, in microseconds since boot: journald may have received it much later.
  private func timeOfSaying(_ entry: JournalEntry) -> UInt64? {
    guard let sent = entry["_SOURCE_REALTIME_TIMESTAMP"].flatMap({ UInt64($0) }), sent <= entry.realtime else {
      return nil
    }
    return entry.monotonic &- min(entry.realtime - sent, entry.monotonic)
  }

  private func process(_ said: consuming ManagerEntry, saidAt: UInt64?, into events: inout [LifecycleEvent]) {
    if said.mayHaveFinished { said.remainsAfterExit = oneshots?.remainsAfterExit(said.unit) }
    if witness != nil {
      events += failedStarts()
      while let missed = witness?.unexplained(by: tracker, before: said, saidAt: saidAt), !missed.isEmpty {
        events += missed.flatMap { tracker.process($0) }
      }
    }
    tracker.process(said, into: &events)
  }

  // MARK: The live manager

  /// Takes note of what the manager says on the bus from now on.
  package func listen() {
    guard let machine = try? Id128.machine(), let boot = try? Id128.boot() else { return }
    fields = fields.union(FieldSet(["_SOURCE_REALTIME_TIMESTAMP"]))
    witness = BusWitness(machine: machine, boot: boot, hostname: hostName(), since: Clock.monotonic())
  }

  /// Takes note of what the manager said: the journal has to explain it, or it becomes events of its own.
  package func note(_ change: UnitChange) {
    let units = source.selection.units
    guard units.isEmpty || units.contains(change.unit) else { return }
    witness?.note(
      change, of: source.selection.manager, now: Clock.monotonic(), realtime: Clock.now().microseconds)
  }

  /// Takes note of a job that was queued or is gone.
  package func note(job: UInt32, of unit: String, result: String?) {
    witness?.note(job: job, of: unit, result: result, now: Clock.monotonic(), realtime: Clock.now().microseconds)
  }

  /// Takes note of a manager's return: units that were up, and which it no longer has, are down.
  package func managerHasReturned(with units: Set<String>) {
    let manager = source.selection.manager
    let known = tracker.units.filter { $0.key.manager == manager && $0.key.machine == machine && $0.value.phase == .up }
    let up = known.map { (unit: $0.key.unit, invocation: $0.value.invocation) } + (witness?.unitsComingUp() ?? [])
    for (unit, invocation) in up where !units.contains(unit) {
      var gone = UnitChange(unit: unit, activeState: "inactive")
      gone.invocation = invocation
      gone.inactiveEnter = Clock.monotonic()
      note(gone)
    }
  }

  /// The failures that waited for whether they were failed starts, as the manager has told it.
  private func failedStarts() -> [LifecycleEvent] {
    guard tracker.isWaiting, let entries = witness?.failedStarts(in: tracker) else { return [] }
    return entries.flatMap { tracker.process($0) }
  }

  /// When to ask for what the journal has not explained, in microseconds since boot; nil if nothing waits.
  package var nextUnexplained: UInt64? { witness?.nextDue }

  /// The events that the journal should have told by now and has not; to be asked for when it was read to its end.
  package func takeUnexplained() -> Batch {
    var batch = Batch()
    while let missed = witness?.unexplained(by: tracker, now: Clock.monotonic()), !missed.isEmpty {
      batch.events += missed.flatMap { tracker.process($0) }
    }
    batch.allChanges = tracker.takeChanges()
    return batch
  }

  // MARK: Following

  /// The descriptor that becomes readable when the journal changes.
  func fileDescriptor() throws(SystemError) -> CInt { try journal.fileDescriptor() }

  /// Whether the descriptor tells every change.
  var isReliable: Bool { journal.isReliable }

  /// Takes note of new entries in the files that are open; to be called before reading on.
  package func refresh() throws(SystemError) {
    // journald first counts an entry and then lists it among those of each field. Who looks in between by a match does not
    // find it, and libsystemd remembers that this file had nothing more at that count: the entry would not be seen
    // before the next one is written. New matches make it forget that.
    journal.flushMatches()
    try source.addMatches(to: journal)
  }

  /// Takes note of new and removed files. Removed ones can be read no longer after it: what they hold has to be read before.
  ///
  /// - Returns: whether there were any, so that there may be more to read.
  package func process() throws(SystemError) -> Bool { try journal.process() == .invalidated }
}
