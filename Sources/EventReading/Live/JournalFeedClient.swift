package import Lifecycle
package import Systemd

/// Receives the events of a `JournalFeed`.
package protocol JournalFeedClient: AnyObject {
  /// Whether the feed may read now. After false, the client calls `look()` when that has changed.
  var mayLook: Bool { get }
  /// Whether the client has room for more events. After false, the client calls `look()` when that has changed.
  var hasRoom: Bool { get }
  /// Whether there is a backlog: then the event loop gets a turn after each batch.
  var isCatchingUp: Bool { get }
  /// Takes a batch; returns false if the client cannot take more now.
  func take(_ batch: EventReader.Batch, from reader: EventReader) -> Bool
  /// There is a reader of a new machine, at the start of its entries. The client can move it to an earlier position.
  func found(_ reader: EventReader) throws
  /// The entry that was read last is gone.
  func lost(_ place: LostPlace, of reader: EventReader) throws
  /// An entry between two places could not be read after several attempts, and was skipped.
  func passedOver(from: JournalCursor?, to: JournalCursor?, of reader: EventReader)
  /// Files of the journal were added or removed.
  func filesChanged()
  /// The journal was opened again.
  func reopened()
  /// Everything was read that the journal had when these ends were determined.
  func passed(_ ends: [JournalFeed.End])
  /// The end of the journal was reached.
  func reachedEnd()
  /// Reports a problem of the journal.
  func say(_ message: String, priority: JournalWriter.Priority)
}

extension JournalFeedClient {
  package var mayLook: Bool { true }
  package var hasRoom: Bool { true }
  package var isCatchingUp: Bool { false }
  package func found(_ reader: EventReader) throws {}
  package func lost(_ place: LostPlace, of reader: EventReader) throws {}
  package func passedOver(from: JournalCursor?, to: JournalCursor?, of reader: EventReader) {}
  package func filesChanged() {}
  package func reopened() {}
  package func passed(_ ends: [JournalFeed.End]) {}
  package func reachedEnd() {}
}
