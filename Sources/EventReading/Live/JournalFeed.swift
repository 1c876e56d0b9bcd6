internal import Glibc
internal import Lifecycle
package import Systemd

/// Reads the events of a journal as they come: watches it, reads on, waits for last messages, and opens it anew when it must.
package final class JournalFeed {
  /// The journal's last entry at some time, of whatever service.
  package typealias End = (reader: EventReader, cursor: JournalCursor)

  package let readers: EventReaders
  /// Says when to look, and has the connection to the service manager.
  package let watch: JournalWatch
  private let timers: any Timers
  /// Takes the events; to be set before `start()`.
  package weak var client: (any JournalFeedClient)?
  /// Whether the last look has read all there was.
  package private(set) var isAtEnd = false
  private var isEnded = false
  private var flushTimer: Timer?
  private var witnessTimer: Timer?
  private var turn: Timer?
  private var reopenTimer: Timer?
  /// While the journal cannot be watched.
  private var pollTimer: Timer?
  private var isPolling = false
  /// Errors in a row at one place of the journal, and the reader that met them.
  private var failures: (count: Int, reader: EventReader?) = (0, nil)
  private var directories: DirectoryWatcher?

  /// Entries read in one turn, so that processes and timers are answered in between.
  private static let batchSize = 256
  /// How often an entry is tried.
  private static let failureLimit = 5
  /// How soon what has failed is tried again, in microseconds.
  private static let retryInterval: UInt64 = 1_000_000
  /// What the journal has not explained in time is not asked for sooner than this, in microseconds: what is in the way may last.
  private static let shortestWitnessDelay: UInt64 = 50_000

  package init(_ readers: EventReaders, loop: EventLoop, timers: any Timers) {
    self.readers = readers
    self.timers = timers
    var look: () -> Void = {}
    watch = JournalWatch(loop: loop, timers: timers, manager: readers.selection.manager) { look() }
    if readers.local != nil {
      directories = DirectoryWatcher(loop: loop, timers: timers) { [unowned self] in
        watchDirectories()
        if reopenTimer == nil { reopen(in: 0) }
      }
    }
    look = { [unowned self] in self.look() }
  }

  // MARK: Beginning and ending

  /// Watches the journal, and listens to the service manager; nothing is read before `look()`.
  package func start() throws(SystemError) {
    try watchJournal()
    guard let local = readers.local else { return }
    watch.onUnitChange = { [unowned self] in
      local.note($0)
      scheduleWitness()
    }
    watch.onJob = { [unowned self] in
      local.note(job: $0, of: $1, result: $2)
      if $2 != nil { scheduleWitness() }
    }
    watch.onReturn = { [unowned self] in
      local.managerHasReturned(with: $0)
      scheduleWitness()
    }
    local.listen()
    watch.listenToManager()
    watchDirectories()
  }

  /// Reads no more.
  package func end() {
    isEnded = true
    watch.pause()
  }

  // MARK: Reading

  /// Reads what there is.
  package func look() {
    guard !isEnded, let client else { return watch.pause() }
    guard reopenTimer == nil, client.mayLook else {
      isAtEnd = false
      return watch.pause()
    }
    do {
      // Files are let go of only when all that they hold was read: deleted ones can be read as long as they are open.
      var isChanged = true
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
      }
      client.reachedEnd()
      scheduleFlush()
      watch.resume()
    } catch {
      reopen(after: error)
    }
  }

  /// Reads on in the next turn of the loop.
  package func lookSoon() {
    guard turn == nil else { return }
    turn = timers.callSoon { [unowned self] in
      turn = nil
      look()
    }
  }

  /// Reads a machine's journal to its end; false when that has to wait, for room or for a turn of the others.
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

  /// The local journal's end now: once all before it was read, it can be kept as the place to go on from.
  package func ends() -> [End] {
    guard let local = readers.local, let end = try? local.end() else { return [] }
    return [(local, end)]
  }

  // MARK: What comes with time

  /// An event that waits for its job's last message is given without it when that has not come in time.
  package func scheduleFlush() {
    guard flushTimer == nil, !isEnded, readers.isWaiting else { return }
    flushTimer = timers.call(in: LifecycleTracker.patience) { [unowned self] in
      flushTimer = nil
      look()
      // Behind the journal's end the clock tells nothing about entries that are there and were not read yet.
      guard isAtEnd, let client, client.mayLook else { return }
      let now = readers.local == nil ? nil : timers.monotonic
      for reader in readers.all where reader.isWaiting { _ = client.take(reader.flush(until: now), from: reader) }
      scheduleFlush()
    }
  }

  /// What the manager has said on the bus is left to the journal to explain; what it has not in time becomes an event.
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

  /// What the journal has must not be lost for want of something to watch it with. Without that libsystemd does not notice new
  /// files: what there is to read is read, then the journal is opened anew, which tries to watch it, too.
  private func poll(_ error: SystemError) {
    readers.becomeBlind()
    if !isPolling {
      client?.say(
        "The journal cannot be watched, and is read every second instead: \(error). \(error.watchRemedy)",
        priority: .warning)
    }
    isPolling = true
    pollTimer = timers.call(in: JournalFeed.retryInterval) { [unowned self] in
      pollTimer = nil
      look()
      if reopenTimer == nil { reopen(in: 0) }
    }
  }

  /// A new machine may have a directory of its own, for which there is no watch.
  private func checkWatches() {
    guard !isPolling else { return }
    do throws(SystemError) { try readers.checkWatches() } catch { poll(error) }
  }

  /// libsystemd notices new files, but not directories of files that come or go after it has opened the journal, as when
  /// /var/log/journal is made for a persistent journal.
  private func watchDirectories() {
    guard let machine = readers.local?.machine else { return }
    let paths = ["/run/log/journal/\(machine)", "/var/log/journal/\(machine)"]
    if let error = directories?.watch(existenceOf: paths) {
      client?.say(
        "Journal directories cannot be watched, and are looked for every second instead: \(error). \(error.watchRemedy)",
        priority: .warning)
    }
  }

  // MARK: Opening anew

  /// A journal that cannot be read further is opened anew: after a vacuum, a file may be gone under the reader.
  private func reopen(after error: any Error) {
    isAtEnd = false
    failures.count += 1
    client?.say("\(error). The journal is opened again.", priority: .warning)
    reopen(in: JournalFeed.retryInterval)
  }

  private func reopen(in delay: UInt64) {
    watch.forgetJournal()
    reopenTimer = timers.call(in: delay) { [unowned self] in
      reopenTimer = nil
      do {
        for (reader, place) in try readers.reopen() { try client?.lost(place, of: reader) }
        if failures.count >= JournalFeed.failureLimit, let reader = failures.reader { passOver(reader) }
        client?.reopened()
        try watchJournal()
        look()
      } catch {
        reopen(after: error)
      }
    }
  }

  private func passOver(_ reader: EventReader) {
    let before = reader.cursor
    reader.skipEntry()
    failures.count = 0
    client?.passedOver(from: before, to: reader.cursor, of: reader)
  }
}
