package import Lifecycle
package import Systemd

/// Gives the events of a journal as they happen.
package final class EventTail {
  private let loop: EventLoop
  private let readers: EventReaders
  private let report: (LifecycleEvent) -> Void
  private let warn: (String) -> Void
  private var pollTimer: EventSource?
  private var watch: JournalWatch?
  private var flushTimer: EventSource?
  private var witnessTimer: EventSource?

  /// Continues where the readers are.
  package init(
    loop: EventLoop, readers: EventReaders, warn: @escaping (String) -> Void, report: @escaping (LifecycleEvent) -> Void
  ) {
    self.warn = warn
    self.loop = loop
    self.readers = readers
    self.report = report
  }

  /// Begins; the events come while the loop runs.
  package func start() throws(SystemError) {
    let watch = JournalWatch(loop: loop, manager: readers.selection.manager) { [unowned self] in look() }
    do throws(SystemError) {
      try watch.watch(journal: readers.fileDescriptor(), isReliable: readers.isReliable)
      try readers.checkWatches()
    } catch {
      guard error.isAboutWatching else { throw error }
      poll(error)
    }
    if readers.selection.isLocal {
      readers.all.first?.listen()
      watch.onUnitChange = { [unowned self] in
        readers.all.first?.note($0)
        scheduleWitness()
      }
      watch.onJob = { [unowned self] in
        readers.all.first?.note(job: $0, of: $1, result: $2)
        if $2 != nil { scheduleWitness() }
      }
      watch.onReturn = { [unowned self] in
        readers.all.first?.managerHasReturned(with: $0)
        scheduleWitness()
      }
      watch.listenToManager()
    }
    self.watch = watch
    look()
  }

  private func poll(_ error: SystemError) {
    warn("The journal cannot be watched, and is read every second instead: \(error). \(error.watchRemedy)")
    readers.becomeBlind()
    schedulePoll()
  }

  private func schedulePoll() {
    pollTimer = try? loop.schedule(at: loop.now() + EventTail.pollInterval) { [unowned self] in
      if readers.selection.isLocal { _ = try? readers.reopen() }
      look()
      schedulePoll()
    }
  }

  private static let pollInterval: UInt64 = 1_000_000

  private func look() {
    var isComplete = false
    while !isComplete {
      for reader in readers.all {
        // An error at one place of a damaged file comes again until more is written: the next look is soon enough.
        try? reader.refresh()
        while let batch = try? reader.read(limit: 256) {
          batch.events.forEach(report)
          if batch.isAtEnd { break }
        }
      }
      let change = try? readers.process()
      if change?.new.isEmpty == false, pollTimer == nil {
        do throws(SystemError) { try readers.checkWatches() } catch { poll(error) }
      }
      isComplete = change?.isChanged != true
    }
    if readers.isWaiting, flushTimer == nil {
      flushTimer = try? loop.schedule(at: loop.now() + LifecycleTracker.patience) { [unowned self] in
        flushTimer = nil
        look()
        let now = readers.selection.isLocal ? Clock.monotonic() : nil
        for reader in readers.all { reader.flush(until: now).events.forEach(report) }
      }
    }
  }

  /// What the manager tells on the bus is left to the journal to explain; what it has not in time is told.
  private func scheduleWitness() {
    guard witnessTimer == nil, let reader = readers.all.first, let due = reader.nextUnexplained else { return }
    witnessTimer = try? loop.schedule(at: due, accuracy: 50_000) { [unowned self] in
      witnessTimer = nil
      look()
      reader.takeUnexplained().events.forEach(report)
      scheduleWitness()
    }
  }
}
