internal import EventReading
internal import Lifecycle
internal import Systemd

/// What becomes of the files of the system journal: whether one was removed while journald wrote to it, or given up as damaged.
struct JournalFilesWatch {
  private let files: ActiveJournalFiles
  /// Where the reader was after the last look that came to the end, in microseconds since 1970.
  private var readUntil: UInt64
  private var lastLook: UInt64
  /// When a file was removed under journald, as long as it has not made a new one.
  private var removedSince: UInt64?

  /// - Parameters:
  ///   - now: the time in microseconds since 1970.
  ///   - cursor: where the reader is; nil if it has read nothing.
  init(machine: String, now: UInt64, cursor: JournalCursor?) {
    files = ActiveJournalFiles(machine: machine)
    files.noteOpenFiles()
    readUntil = cursor?.realtime ?? now
    lastLook = now
  }

  /// Whether journald writes to a file that was removed, so that it cannot be read.
  var isRemoved: Bool { removedSince != nil }

  /// Files may have come or gone.
  mutating func check(now: UInt64) -> [Gap] {
    var gaps: [Gap] = []
    if let gap = givenUp() { gaps.append(gap) }
    if files.isRemoved(), removedSince == nil { removedSince = lastLook }
    lastLook = now
    if let since = removedSince, files.exist {
      removedSince = nil
      gaps.append(Gap(.deleted, since: since, until: now))
    }
    return gaps
  }

  /// The gap that a file leaves which was given up as damaged before it was read to its end.
  func givenUp() -> Gap? {
    // What the reader is past already was read before it was damaged.
    files.lastTimeInClosedFiles().flatMap { $0 > readUntil ? Gap(.corrupt, since: readUntil, until: $0) : nil }
  }

  /// All that was there was read.
  mutating func reachedEnd(at cursor: JournalCursor?, now: UInt64) {
    if let cursor { readUntil = cursor.realtime }
    lastLook = now
  }

  /// The files were opened again.
  func noteOpen() { files.noteOpenFiles() }
}
