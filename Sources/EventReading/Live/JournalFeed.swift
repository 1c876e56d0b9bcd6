internal import Glibc
internal import Lifecycle
package import Systemd

/// Follows a journal: watches it, reads new entries, waits for the last messages of events, and opens it again after an error.
package final class JournalFeed {
  /// The cursor of the last entry of the journal at some time, of any service.
  package typealias End = (reader: EventReader, cursor: JournalCursor)

  package let readers: EventReaders
  /// Watches the journal, and has the connection to the service manager.
  package let watch: JournalWatch
  private let timers: any Timers
  /// Receives the events; to be set before `start()`.
  package weak var client: (any JournalFeedClient)?
  /// Whether the last `look()` has read everything.
  package private(set) var isAtEnd = false
  private var isEnded = false
  private var flushTimer: Timer?
  private var witnessTimer: Timer?
  private var turn: Timer?
  private var reopenTimer: Timer?
  /// Runs while the journal cannot be watched.
  private var pollTimer: Timer?
  private var isPolling = false
  /// The number of successive errors at one place of the journal, how many there may be, and the reader that had them.
  private var failures: (count: Int, limit: Int, reader: EventReader?) = (0, failureLimit, nil)
  private var directories: DirectoryWatcher?

  /// How many entries to read in one turn of the loop, so that processes and timers are handled in between.
  private static let batchSize = 256
  /// How often to try to read an entry.
  private static let failureLimit = 5
  /// The same for errors that say nothing about the file: there is no memory, or no descriptor. An entry may be passed over only
  /// because a damaged length can look like want of memory.
  private static let shortageLimit = 300
  /// How long to wait after a failure, in microseconds.
  private static let retryInterval: UInt64 = 1_000_000
  /// The shortest time between two calls of `takeUnexplained()`, in microseconds: the reason why it has to wait may last.
  private static let shortestWitnessDelay: UInt64 = 50_000

  package init(_ readers: EventReaders, loop: any Loop, timers: any Timers) {
    self.readers = readers
    self.timers = timers
    var look: () -> Void = {}
    let host = readers.host
    let manager = readers.selection.manager
    watch = JournalWatch(
      loop: loop, timers: timers, connect: { () throws(SystemError) in try host.connect(to: manager) }, look: { look() }
    )
    if readers.local != nil, host.hasJournalDirectories {
      directories = DirectoryWatcher(loop: loop, timers: timers) { [unowned self] in
        watchDirectories()
        if reopenTimer == nil { reopen(in: 0) }
      }
    }
    look = { [unowned self] in self.look() }
  }

  // MARK: Beginning and ending

  /// Watches the journal, and listens to the service manager. Nothing is read before the first `look()`.
  package func start() throws(SystemError) {
    try watchJournal()
    guard let local = readers.local else { return }
    watch.manager.onUnitChange = { [unowned self] in
      local.note($0)
      scheduleWitness()
    }
    watch.manager.onJob = { [unowned self] in
      local.note(job: $0, of: $1, result: $2)
      if $2 != nil { scheduleWitness() }
    }
    watch.manager.onReturn = { [unowned self] in
      local.managerIsBack(with: $0)
      scheduleWitness()
    }
    local.listen()
    watch.listenToManager()
    watchDirectories()
  }

  /// Stops reading.
  package func end() {
    isEnded = true
    watch.pause()
  }

  // MARK: Reading

  /// Reads everything that the journal has.
  package func look() {
    guard !isEnded, let client else { return watch.pause() }
    guard reopenTimer == nil, client.mayLook else {
      isAtEnd = false
      return watch.pause()
    }
    do {
      // A file is closed only after it was read completely: a deleted file can be read as long as it is open.
      var isChanged = true
      var isAppended = false
      var ends: [End] = []
      while isChanged {
        isAtEnd = false
        for reader in readers.all {
          guard try read(reader, for: client) else { return watch.pause() }
        }
        isAtEnd = true
        client.passed(ends)
        let change = try readers.process()
        if change.isChanged {
          ends = self.ends()
          client.filesChanged()
        }
        for reader in change.new { try client.found(reader) }
        if !change.new.isEmpty { checkWatches() }
        isChanged = change.isChanged
        isAppended = change.isAppended
      }
      client.reachedEnd()
      scheduleFlush()
      watch.resume()
      // What came between the last read and `process()` was reported to that call, and to nobody else.
      if isAppended { lookSoon() }
    } catch {
      reopen(after: error)
    }
  }

  /// Calls `look()` in the next turn of the loop.
  package func lookSoon() {
    guard turn == nil else { return }
    turn = timers.callSoon { [unowned self] in
      turn = nil
      look()
    }
  }

  /// Reads the journal of a machine to its end; returns false if it has to stop before, for lack of room or for another turn.
  private func read(_ reader: EventReader, for client: any JournalFeedClient) throws -> Bool {
    failures.reader = reader
    guard client.hasRoom else { return false }
    try reader.refresh()
    while client.hasRoom {
      let batch = try reader.read(limit: JournalFeed.batchSize)
      if !batch.isEmpty {
        failures.count = 0
        guard client.take(batch, from: reader) else {
          isAtEnd = false
          return false
        }
      }
      if batch.isAtEnd { return true }
      if client.isCatchingUp {
        lookSoon()
        return false
      }
    }
    return false
  }

  /// The current end of the journal of this machine. When everything before it was read, it can be kept as the cursor.
  package func ends() -> [End] {
    guard let local = readers.local, let end = try? local.end() else { return [] }
    return [(local, end)]
  }

  // MARK: Timers

  /// Reports an event without the last message of its job, when that message has not come in time.
  package func scheduleFlush() {
    guard flushTimer == nil, !isEnded, readers.isWaiting else { return }
    flushTimer = timers.call(in: LifecycleTracker.patience) { [unowned self] in
      flushTimer = nil
      look()
      // Only at the end of the journal it is known that the message has not come.
      guard isAtEnd, let client, client.mayLook else { return }
      let now = readers.local == nil ? nil : timers.monotonic
      for reader in readers.all where reader.isWaiting { _ = client.take(reader.flush(until: now), from: reader) }
      scheduleFlush()
    }
  }

  /// Waits for the journal to explain the changes that the manager has sent on the bus. Those that it does not explain in time lead
  /// to events of their own.
  private func scheduleWitness() {
    guard witnessTimer == nil, !isEnded, let local = readers.local, let due = local.nextUnexplained else { return }
    let time = max(due, timers.monotonic + JournalFeed.shortestWitnessDelay)
    witnessTimer = timers.call(at: time, accuracy: 50_000) { [unowned self] in
      witnessTimer = nil
      look()
      if isAtEnd, let client, client.mayLook {
        let batch = local.takeUnexplained()
        if !batch.isEmpty { _ = client.take(batch, from: local) }
      }
      scheduleWitness()
    }
  }

  // MARK: Watching

  private func watchJournal() throws(SystemError) {
    do throws(SystemError) {
      try watch.watch(journal: readers.fileDescriptor(), isReliable: readers.isReliable)
      try readers.checkWatches()
    } catch {
      guard error.isAboutWatching else { throw error }
      return poll(error)
    }
    if isPolling { client?.say("The journal is watched again.", priority: .notice) }
    isPolling = false
  }

  /// Reads the journal at intervals, as long as it cannot be watched. Without watches libsystemd does not notice new files. So each
  /// time everything is read, and then the journal is opened again, which also tries to watch it.
  private func poll(_ error: SystemError) {
    readers.setUnwatched()
    if !isPolling {
      client?.say(
        "The journal cannot be watched, so it is read every second: \(error). \(error.watchRemedy)",
        priority: .warning)
    }
    isPolling = true
    pollTimer = timers.call(in: JournalFeed.retryInterval) { [unowned self] in
      pollTimer = nil
      look()
      if reopenTimer == nil { reopen(in: 0) }
    }
  }

  /// Checks the watches again: a new machine may have a directory of its own, without a watch.
  private func checkWatches() {
    guard !isPolling else { return }
    do throws(SystemError) { try readers.checkWatches() } catch { poll(error) }
  }

  /// libsystemd notices new files. But it does not notice directories of journal files that are created or removed after it has
  /// opened the journal, for example /var/log/journal when the journal becomes persistent.
  private func watchDirectories() {
    guard let machine = readers.local?.machine else { return }
    let paths = ["/run/log/journal/\(machine)", "/var/log/journal/\(machine)"]
    if let error = directories?.watch(existenceOf: paths) {
      client?.say(
        "The journal directories cannot be watched, so they are checked every second: \(error). \(error.watchRemedy)",
        priority: .warning)
    }
  }

  // MARK: Opening again

  /// Opens the journal again after an error: a vacuum can remove a file that is being read.
  private func reopen(after error: any Error) {
    isAtEnd = false
    failures.count += 1
    let isShortage = [ENOMEM, EMFILE, ENFILE].contains((error as? SystemError)?.code ?? 0)
    failures.limit = isShortage ? JournalFeed.shortageLimit : JournalFeed.failureLimit
    // A shortage may last: it is reported once.
    if !isShortage || failures.count == 1 {
      client?.say("\(error). The journal is opened again.", priority: .warning)
    }
    reopen(in: JournalFeed.retryInterval)
  }

  private func reopen(in delay: UInt64) {
    watch.forgetJournal()
    reopenTimer = timers.call(in: delay) { [unowned self] in
      reopenTimer = nil
      do {
        for (reader, place) in try readers.reopen() { try client?.lost(place, of: reader) }
        if failures.count >= failures.limit, let reader = failures.reader { skipEntry(of: reader) }
        client?.reopened()
        try watchJournal()
        look()
      } catch {
        reopen(after: error)
      }
    }
  }

  private func skipEntry(of reader: EventReader) {
    let before = reader.cursor
    reader.skipEntry()
    failures.count = 0
    client?.passedOver(from: before, to: reader.cursor, of: reader)
  }
}
