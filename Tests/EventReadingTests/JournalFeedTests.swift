import Glibc
import Lifecycle
import Systemd
import TestSupport
import Testing

@testable import EventReading

/// When the journal is read.
@Suite struct JournalFeedTests {
  /// This machine; something happens just before a journal is asked for its changes.
  private struct Host: ReadingHost {
    let clocks: any Clocks = SystemClocks()
    let beforeProcess: () -> Void

    func machine() throws(SystemError) -> String { try Id128.machine() }
    func boot() throws(SystemError) -> String { try Id128.boot() }
    var hostname: String? { nil }
    var hasJournalDirectories: Bool { true }
    func open(_ source: Journal.Source) throws(SystemError) -> any JournalFiles {
      Files(try SystemJournal(source), beforeProcess)
    }
    func connect(to manager: Manager) throws(SystemError) -> any ManagerLink {
      throw SystemError("connect", code: ENOENT)
    }
  }

  private final class Files: JournalFiles {
    private let journal: SystemJournal
    private let beforeProcess: () -> Void

    init(_ journal: SystemJournal, _ beforeProcess: @escaping () -> Void) {
      self.journal = journal
      self.beforeProcess = beforeProcess
    }
    func addMatch(_ field: String, _ value: String) throws(SystemError) { try journal.addMatch(field, value) }
    func addDisjunction() throws(SystemError) { try journal.addDisjunction() }
    func flushMatches() { journal.flushMatches() }
    func next() throws(SystemError) -> Bool { try journal.next() }
    func previous() throws(SystemError) -> Bool { try journal.previous() }
    func seekHead() throws(SystemError) { try journal.seekHead() }
    func seekTail() throws(SystemError) { try journal.seekTail() }
    func seek(realtime: UInt64) throws(SystemError) { try journal.seek(realtime: realtime) }
    func seek(cursor: String) throws(SystemError) { try journal.seek(cursor: cursor) }
    func resume(after cursor: JournalCursor) throws(SystemError) -> Journal.Resumption {
      try journal.resume(after: cursor)
    }
    func cursor() throws(SystemError) -> String { try journal.cursor() }
    func boot() throws(SystemError) -> String { try journal.boot() }
    func realtime() throws(SystemError) -> UInt64 { try journal.realtime() }
    func read(into entry: inout JournalEntry, keeping wanted: FieldSet?) throws(SystemError) {
      try journal.read(into: &entry, keeping: wanted)
    }
    func values(of field: String) throws(SystemError) -> [String] { try journal.values(of: field) }
    func fileDescriptor() throws(SystemError) -> CInt { try journal.fileDescriptor() }
    var isReliable: Bool { journal.isReliable }
    func process() throws(SystemError) -> Journal.Change {
      beforeProcess()
      return try journal.process()
    }
    var hasPersistentFiles: Bool { journal.hasPersistentFiles }
    func hasFiles() -> Bool { journal.hasFiles() }
  }

  private final class Client: JournalFeedClient {
    var invocations: [String] = []
    var onEvent: () -> Void = {}

    func take(_ batch: EventReader.Batch, from reader: EventReader) -> Bool {
      invocations += batch.events.compactMap(\.invocation)
      if !batch.events.isEmpty { onEvent() }
      return true
    }
    func say(_ message: String, priority: JournalWriter.Priority) {}
  }

  /// Adds a start of the unit to a journal, as systemd-journal-remote does.
  private func add(_ number: Int, to path: String) {
    let text = """
      __REALTIME_TIMESTAMP=\(1_700_000_000_000_000 + number)
      __MONOTONIC_TIMESTAMP=\(number)
      _BOOT_ID=\(String(repeating: "b", count: 32))
      _MACHINE_ID=\(String(repeating: "a", count: 32))
      _TRANSPORT=journal
      _PID=1
      _UID=0
      UNIT=web\(number).service
      INVOCATION_ID=\(String(repeating: "\(number)", count: 32))
      MESSAGE_ID=39f53479d3a045ac8e11786248231fbf
      MESSAGE=Started.
      JOB_ID=\(number)
      JOB_TYPE=start
      JOB_RESULT=done


      """
    let command = "printf '%s' '\(text)' | /lib/systemd/systemd-journal-remote -o '\(path)' - 2>/dev/null"
    #expect(unsafe system(command) == 0)
  }

  @Test func whatComesWhileTheJournalIsAskedForChangesIsRead() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/remote-a.journal"
    add(1, to: path)
    // The notification of this entry is gone with the call that it comes before, and no other entry follows.
    var isLate = true
    let client = Client()
    let host = Host {
      guard isLate, !client.invocations.isEmpty else { return }
      isLate = false
      add(2, to: path)
    }
    let loop = try EventLoop()
    let selection = JournalSelection(journal: .files([path]))
    let readers = try EventReaders(selection, on: host)
    for reader in readers.all { try reader.seek(realtime: 0) }
    let feed = JournalFeed(readers, loop: loop, timers: try LoopTimers(loop))
    feed.client = client
    client.onEvent = { if client.invocations.count == 2 { loop.exit(0) } }
    try feed.start()
    let deadline = try loop.schedule(at: Clock.monotonic() + 5_000_000) { loop.exit(1) }
    feed.look()
    #expect(try loop.run() == 0)
    #expect(client.invocations == [1, 2].map { String(repeating: "\($0)", count: 32) })
    feed.end()
    deadline.cancel()
  }
}
