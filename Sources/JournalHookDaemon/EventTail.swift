package import JournalHookCore
package import Systemd

/// Gives the events of a journal as they happen.
package final class EventTail {
  private let loop: EventLoop
  private var reader: EventReader
  private let isLocal: Bool
  private let report: (LifecycleEvent) -> Void
  private var watch: JournalWatch?
  private var flushTimer: EventSource?

  /// Continues where the reader is.
  package init(
    loop: EventLoop, reader: consuming EventReader, isLocal: Bool, report: @escaping (LifecycleEvent) -> Void
  ) {
    self.loop = loop
    self.reader = reader
    self.isLocal = isLocal
    self.report = report
  }

  /// Begins; the events come while the loop runs.
  package func start() throws(SystemError) {
    let watch = JournalWatch(loop: loop) { [unowned self] in look() }
    try watch.watch(journal: reader.fileDescriptor(), isReliable: reader.isReliable)
    if isLocal { watch.listenToManager() }
    self.watch = watch
    look()
  }

  private func look() {
    var isComplete = false
    while !isComplete {
      // An error at one place of a damaged file comes again until more is written: the next look is soon enough.
      try? reader.refresh()
      while let batch = try? reader.read(limit: 256) {
        batch.events.forEach(report)
        if batch.isAtEnd { break }
      }
      isComplete = (try? reader.process()) != true
    }
    if reader.isWaiting, flushTimer == nil {
      flushTimer = try? loop.schedule(at: loop.now() + LifecycleTracker.patience) { [unowned self] in
        flushTimer = nil
        look()
        reader.flush(until: isLocal ? Clock.monotonic() : nil).events.forEach(report)
      }
    }
  }
}
