import Glibc
import Systemd
import Testing

@testable import Systemd

/// Reading journal files that systemd-journal-remote has made from known entries.
@Suite struct JournalTests {
  /// Entries of one boot, a second apart, numbered from 0.
  private static func export(_ numbers: some Sequence<Int>, boot: Character = "b", machine: Character = "c") -> String {
    numbers.map { number in
      """
      __REALTIME_TIMESTAMP=\(1_700_000_000_000_000 + number * 1_000_000)
      __MONOTONIC_TIMESTAMP=\(number * 1_000_000)
      _BOOT_ID=\(String(repeating: boot, count: 32))
      _MACHINE_ID=\(String(repeating: machine, count: 32))
      _PID=\(number % 2 + 1)
      NUMBER=\(number)
      MESSAGE=number \(number)


      """
    }.joined()
  }

  private struct Directory: ~Copyable {
    let path: String

    init() {
      var template = Array("/tmp/journalhook-test-XXXXXX".utf8CString)
      path = mkdtemp(&template).map { String(cString: $0) } ?? ""
    }

    func write(_ text: String, to name: String) throws -> String {
      let file = "\(path)/\(name)"
      let source = try #require(fopen("\(file).export", "w"))
      fputs(text, source)
      fclose(source)
      #expect(run(["/lib/systemd/systemd-journal-remote", "-o", file, "\(file).export"]).succeeded)
      return file
    }

    deinit { _ = run(["rm", "-rf", path]) }
  }

  private func numbers(_ journal: borrowing Journal) throws -> [Int] {
    var numbers: [Int] = []
    while try journal.next() { numbers.append(Int(try journal.entry()["NUMBER"] ?? "") ?? -1) }
    return numbers
  }

  @Test func readsWhatMatches() throws {
    let directory = Directory()
    let file = try directory.write(Self.export(0..<10), to: "a.journal")
    let journal = try Journal(.files([file]))
    #expect(try numbers(journal) == Array(0..<10))
    #expect(try !journal.next(), "at the end it stays there")
    let matching = try Journal(.files([file]))
    try matching.addMatch("_PID", "1")
    #expect(try numbers(matching) == [0, 2, 4, 6, 8])
    #expect(try matching.previous())
    #expect(try matching.entry()["NUMBER"] == "6")
  }

  @Test func entriesAreWhole() throws {
    let directory = Directory()
    let journal = try Journal(.files([try directory.write(Self.export([3]), to: "a.journal")]))
    #expect(try journal.next())
    let entry = try journal.entry()
    #expect(entry.realtime == 1_700_000_003_000_000)
    #expect(entry.monotonic == 3_000_000)
    #expect(entry.boot == String(repeating: "b", count: 32))
    #expect(entry["MESSAGE"] == "number 3")
    #expect(entry.count(of: "MESSAGE") == 1)
    #expect(try journal.entry(keeping: FieldSet(["NUMBER"])).fields == [.init(name: "NUMBER", bytes: Array("3".utf8))])
  }

  @Test func seeksByTime() throws {
    let directory = Directory()
    let journal = try Journal(.files([try directory.write(Self.export(0..<10), to: "a.journal")]))
    try journal.seek(realtime: 1_700_000_004_500_000)
    #expect(try numbers(journal) == [5, 6, 7, 8, 9])
    try journal.seekTail()
    #expect(try journal.previous())
    #expect(try journal.entry()["NUMBER"] == "9")
    try journal.seekHead()
    #expect(try journal.next())
    #expect(try journal.entry()["NUMBER"] == "0")
  }

  @Test(arguments: [0, 5, 9]) func resumesAfterItsEntry(_ number: Int) throws {
    let directory = Directory()
    let file = try directory.write(Self.export(0..<10), to: "a.journal")
    let cursor = try cursor(of: number, in: file)
    let journal = try Journal(.files([file]))
    #expect(try journal.resume(after: cursor) == .found)
    #expect(try numbers(journal) == Array((number + 1)..<10))
  }

  @Test func resumesAfterAnEntryThatWasMoved() throws {
    // After a flush from /run to /var, the same entries are in another file and have other sequence numbers.
    let directory = Directory()
    let old = try directory.write(Self.export(0..<10), to: "old.journal")
    let new = try directory.write(Self.export(3..<10), to: "new.journal")
    let cursor = try cursor(of: 5, in: old)
    let journal = try Journal(.files([new]))
    #expect(try journal.resume(after: cursor) == .found)
    #expect(try numbers(journal) == [6, 7, 8, 9])
  }

  @Test func theEntryAfterAVacuumedOneIsNotSkipped() throws {
    let directory = Directory()
    let old = try directory.write(Self.export(0..<10), to: "old.journal")
    let new = try directory.write(Self.export(6..<10), to: "new.journal")
    let cursor = try cursor(of: 5, in: old)
    let journal = try Journal(.files([new]))
    #expect(try journal.resume(after: cursor) == .lost)
    #expect(try numbers(journal) == [6, 7, 8, 9])
    // The daemon reads with matches.
    let matching = try Journal(.files([new]))
    try matching.addMatch("_PID", "1")
    #expect(try matching.resume(after: cursor) == .lost)
    #expect(try numbers(matching) == [6, 8])
  }

  @Test func resumesAfterAllEntriesOfItsBootAndBeforeAnotherBoot() throws {
    let directory = Directory()
    let old = try directory.write(Self.export(0..<10), to: "old.journal")
    let cursor = try cursor(of: 9, in: old)
    let empty = try Journal(.files([try directory.write(Self.export(0..<5), to: "new.journal")]))
    #expect(try empty.resume(after: cursor) == .lost)
    #expect(try numbers(empty) == [], "earlier entries are not read again")
    let next = try Journal(.files([try directory.write(Self.export(20..<23, boot: "d"), to: "next.journal")]))
    #expect(try next.resume(after: cursor) == .lost)
    #expect(try numbers(next) == [20, 21, 22])
  }

  @Test func missingFilesAreReported() {
    #expect(throws: SystemError("find journal files that match", path: "/nonexistent/*.journal", code: ENOENT)) {
      _ = try Journal(.files(["/nonexistent/*.journal"]))
    }
    #expect { _ = try Journal(.directory("/nonexistent")) } throws: { ($0 as? SystemError)?.code == ENOENT }
    #expect { _ = try Journal(.files(["/etc/passwd"])) } throws: { $0 is SystemError }
  }

  @Test func cursorsAreReadOrRefused() {
    let text =
      "s=98517bc85f8742f480491d9af697580e;i=1;b=e49253355d24485eb6bf332ea39713fe;m=4c2a04b5;t=660e306346465;"
      + "x=9364e7d377f1afdc"
    let cursor = JournalCursor(text)
    #expect(cursor?.monotonic == 0x4c2a04b5)
    #expect(cursor?.realtime == 0x660e306346465)
    #expect(cursor?.description == text)
    for bad in ["", "s=1", "s=1;i=1;b=x;m=1;t=1;x=1", text.replacing("m=", with: "m=g"), "\u{0}"] {
      #expect(JournalCursor(bad) == nil, "\(bad)")
    }
  }

  private func cursor(of number: Int, in file: String) throws -> JournalCursor {
    let journal = try Journal(.files([file]))
    while try journal.next() {
      if try journal.entry()["NUMBER"] == String(number) { return try #require(JournalCursor(try journal.cursor())) }
    }
    throw SystemError("find entry", path: String(number), code: ENOENT)
  }
}
