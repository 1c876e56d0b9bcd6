package import Lifecycle
package import Systemd

/// Reports the events of a journal as they happen, without running hooks.
package final class EventTail: JournalFeedClient {
  private let report: (LifecycleEvent) -> Void
  private let warn: (String) -> Void
  private let feed: JournalFeed
  private var said: Set<String> = []

  /// Continues at the position of the readers.
  ///
  /// - Parameters:
  ///   - warn: called with problems of the journal.
  ///   - report: called with each event.
  package init(
    loop: EventLoop, readers: EventReaders, warn: @escaping (String) -> Void, report: @escaping (LifecycleEvent) -> Void
  ) throws(SystemError) {
    self.warn = warn
    self.report = report
    feed = JournalFeed(readers, loop: loop, timers: try LoopTimers(loop))
    feed.client = self
  }

  /// Starts to read. The events are reported while the loop runs.
  package func start() throws(SystemError) {
    try feed.start()
    feed.look()
  }

  package func take(_ batch: EventReader.Batch, from reader: EventReader) -> Bool {
    batch.events.forEach(report)
    return true
  }

  package func say(_ message: String, priority: JournalWriter.Priority) {
    // An error at one place of a damaged file is repeated each time.
    if said.insert(message).inserted { warn(message) }
  }
}
