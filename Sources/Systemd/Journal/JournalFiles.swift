/// An open journal, with a position and matches: what `Journal` does, for those who may be given another one.
///
/// `SystemJournal` is the real one. A simulation has one that is only in memory. The methods mean the same as those of `Journal`.
package protocol JournalFiles: AnyObject {
  func addMatch(_ field: String, _ value: String) throws(SystemError)
  func addDisjunction() throws(SystemError)
  func flushMatches()

  func next() throws(SystemError) -> Bool
  func previous() throws(SystemError) -> Bool
  func seekHead() throws(SystemError)
  func seekTail() throws(SystemError)
  func seek(realtime: UInt64) throws(SystemError)
  func seek(cursor: String) throws(SystemError)
  func resume(after cursor: JournalCursor) throws(SystemError) -> Journal.Resumption

  func cursor() throws(SystemError) -> String
  func boot() throws(SystemError) -> String
  func realtime() throws(SystemError) -> UInt64
  func read(into entry: inout JournalEntry, keeping wanted: FieldSet?) throws(SystemError)
  func values(of field: String) throws(SystemError) -> [String]

  func fileDescriptor() throws(SystemError) -> CInt
  var isReliable: Bool { get }
  func process() throws(SystemError) -> Journal.Change
  var hasPersistentFiles: Bool { get }
  func hasFiles() -> Bool
}

extension JournalFiles {
  /// Copies the current entry with the wanted fields.
  package func entry(keeping wanted: FieldSet?) throws(SystemError) -> JournalEntry {
    var entry = JournalEntry()
    try read(into: &entry, keeping: wanted)
    return entry
  }
}

/// The journal of libsystemd.
package final class SystemJournal: JournalFiles {
  private let journal: Journal

  /// Opens the journal files of a source; see `Journal`.
  package init(_ source: Journal.Source) throws(SystemError) { journal = try Journal(source) }

  package func addMatch(_ field: String, _ value: String) throws(SystemError) { try journal.addMatch(field, value) }
  package func addDisjunction() throws(SystemError) { try journal.addDisjunction() }
  package func flushMatches() { journal.flushMatches() }

  package func next() throws(SystemError) -> Bool { try journal.next() }
  package func previous() throws(SystemError) -> Bool { try journal.previous() }
  package func seekHead() throws(SystemError) { try journal.seekHead() }
  package func seekTail() throws(SystemError) { try journal.seekTail() }
  package func seek(realtime: UInt64) throws(SystemError) { try journal.seek(realtime: realtime) }
  package func seek(cursor: String) throws(SystemError) { try journal.seek(cursor: cursor) }
  package func resume(after cursor: JournalCursor) throws(SystemError) -> Journal.Resumption {
    try journal.resume(after: cursor)
  }

  package func cursor() throws(SystemError) -> String { try journal.cursor() }
  package func boot() throws(SystemError) -> String { try journal.boot() }
  package func realtime() throws(SystemError) -> UInt64 { try journal.realtime() }
  package func read(into entry: inout JournalEntry, keeping wanted: FieldSet?) throws(SystemError) {
    try journal.read(into: &entry, keeping: wanted)
  }
  package func values(of field: String) throws(SystemError) -> [String] { try journal.values(of: field) }

  package func fileDescriptor() throws(SystemError) -> CInt { try journal.fileDescriptor() }
  package var isReliable: Bool { journal.isReliable }
  package func process() throws(SystemError) -> Journal.Change { try journal.process() }
  package var hasPersistentFiles: Bool { journal.hasPersistentFiles }
  package func hasFiles() -> Bool { journal.hasFiles() }
}
