package import Lifecycle
package import Systemd

/// Whoever takes the events of a `JournalFeed`.
package protocol JournalFeedClient: AnyObject {
  /// Whether anything may be read now. Who says no calls `look()` when that has changed.
  var mayLook: Bool { get }
  /// Whether there is room for more of a journal. Who says no calls `look()` when that has changed.
  var hasRoom: Bool { get }
  /// Whether others get their turn after each batch, as long as there is a backlog.
  var isCatchingUp: Bool { get }
  /// Takes what was read; false if nothing more can be taken now.
  func take(_ batch: EventReader.Batch, from reader: EventReader) -> Bool
  /// The reader of a new machine is at the beginning of its entries, and may be taken to where it was left.
  func found(_ reader: EventReader) throws
  /// The entry that was read last is gone.
  func lost(_ place: LostPlace, of reader: EventReader) throws
  /// An entry between two places could not be read, again and again, and is passed over.
  func passedOver(from: JournalCursor?, to: JournalCursor?, of reader: EventReader)
  /// Files of the journal have come or gone.
  func filesChanged()
  /// The files that are read were opened anew.
  func reopened()
  /// All was read that was there when these ends were asked for.
  func passed(_ ends: [JournalFeed.End])
  /// All that was there was read.
  func reachedEnd()
  /// Tells people about the journal.
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
