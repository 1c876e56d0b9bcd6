import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// What it means that the entry that was read last is gone, and what journald tells of itself.
@Suite struct GapTests {
  private static func cursor(_ number: UInt64, _ time: UInt64, sequence: String = "s1", boot: Character = "b")
    -> JournalCursor?
  {
    let (number, time) = (String(number, radix: 16), String(time, radix: 16))
    return JournalCursor(
      "s=\(sequence);i=\(number);b=\(String(repeating: boot, count: 32));m=\(time);t=\(time);x=1")
  }

  struct Case {
    var name: String
    var next: JournalCursor?
    var newest: JournalCursor?
    var isForeign = false
    var hasBoot = true
    var isVolatile = false
    var boot: Character = "b"
    var meaning: LostPlace.Meaning
  }

  static let cases = [
    Case(name: "directly next", next: cursor(11, 150), newest: cursor(20, 400), meaning: .nothing),
    Case(
      name: "not directly next", next: cursor(12, 150), newest: cursor(20, 400),
      meaning: .gap(Gap(.vacuumed, since: 100, until: 150))),
    Case(
      name: "numbered anew", next: cursor(11, 150, sequence: "s2"), newest: cursor(20, 400),
      meaning: .gap(Gap(.vacuumed, since: 100, until: 150))),
    Case(name: "the journal is empty", meaning: .gap(Gap(.vacuumed, since: 100, until: 1000))),
    Case(
      name: "later than all", newest: cursor(5, 50), meaning: .gap(Gap(.futureCursor, since: 50, until: 1000))),
    Case(
      name: "another machine's", next: cursor(12, 150), newest: cursor(20, 400), isForeign: true,
      meaning: .gap(Gap(.foreignCursor, since: 100, until: 1000))),
    Case(
      name: "a volatile journal has ended", next: cursor(1, 300, sequence: "s2", boot: "c"),
      newest: cursor(20, 400, boot: "c"), hasBoot: false, isVolatile: true, boot: "c", meaning: .endOfBoot),
    Case(
      name: "a volatile journal was vacuumed", next: cursor(12, 150), newest: cursor(20, 400), isVolatile: true,
      meaning: .gap(Gap(.vacuumed, since: 100, until: 150))),
    Case(
      name: "a lasting journal has lost a boot", next: cursor(30, 300, boot: "c"), newest: cursor(40, 400, boot: "c"),
      hasBoot: false, boot: "c", meaning: .gap(Gap(.vacuumed, since: 100, until: 300))),
  ]

  @Test(arguments: cases.indices) func judgesALostPlace(_ index: Int) throws {
    let story = GapTests.cases[index]
    var place = LostPlace(cursor: try #require(GapTests.cursor(10, 100)))
    place.next = story.next
    place.newest = story.newest
    place.hasBoot = story.hasBoot
    place.isVolatile = story.isVolatile
    let meaning = place.meaning(
      isForeign: story.isForeign, boot: String(repeating: story.boot, count: 32), now: 1000)
    #expect(meaning == story.meaning, "\(story.name)")
  }

  @Test(arguments: Gap.Kind.allCases) func tellsTheWindow(_ kind: Gap.Kind) {
    let gap = Gap(kind, since: 1_700_000_000_000_000, until: 1_700_000_060_000_000)
    #expect(
      gap.text.contains(" from \(Timestamp(microseconds: gap.since)) until \(Timestamp(microseconds: gap.until)) "))
  }

  private func message(_ fields: [String: String], machine: String = "m", at time: UInt64 = 5_000_000)
    -> JournaldMessage?
  {
    let all = ["_MACHINE_ID": "m", "_TRANSPORT": "driver"].merging(fields) { $1 }
    let entry = JournalEntry(
      fields: all.map { .init(name: $0.key, bytes: Array($0.value.utf8)) }, cursor: "", realtime: time, monotonic: 1,
      boot: "b")
    return JournaldMessage(entry, machine: machine, scope: "init.scope")
  }

  @Test func readsWhatJournaldSays() {
    let dropped = "a596d6fe7bfa4994828e72309e95d61e"
    #expect(message(["MESSAGE_ID": "f77379a8490b408bbe5f6940505a777b"]) == .started)
    #expect(message(["MESSAGE_ID": "d93fb3c9c24d451a97cea615ce59c00b"]) == .stopped)
    #expect(message(["MESSAGE_ID": "e9bf28e6e834481bb6f48f548ad13606"]) == .missedKernelMessages)
    #expect(
      message(["MESSAGE_ID": dropped, "MESSAGE": "Suppressed 41 messages from init.scope", "N_DROPPED": "41"])
        == .suppressed(41))
    #expect(
      message(["MESSAGE_ID": dropped, "MESSAGE": "Suppressed 41 messages from /init.scope"]) == .suppressed(nil))
    #expect(message(["MESSAGE_ID": dropped, "MESSAGE": "Suppressed 41 messages from a.service"]) == nil)
    #expect(message(["MESSAGE_ID": "39f53479d3a045ac8e11786248231fbf"]) == nil)
  }

  @Test func believesOnlyJournald() {
    let started = "f77379a8490b408bbe5f6940505a777b"
    for transport in ["journal", "syslog", "stdout", "kernel"] {
      #expect(message(["MESSAGE_ID": started, "_TRANSPORT": transport]) == nil)
    }
    #expect(message(["MESSAGE_ID": started, "_MACHINE_ID": "other"]) == nil)
  }

  @Test func noticesWhatCameLate() {
    #expect(message(["_TRANSPORT": "journal", "_SOURCE_REALTIME_TIMESTAMP": "3900000"]) == .late(1_100_000))
    #expect(message(["_TRANSPORT": "journal", "_SOURCE_REALTIME_TIMESTAMP": "4100000"]) == nil)
    #expect(message(["_TRANSPORT": "journal", "_SOURCE_REALTIME_TIMESTAMP": "6000000"]) == nil, "the clock was set")
    #expect(message(["_TRANSPORT": "journal"]) == nil)
  }

  @Test func knowsUnitsByTheirOtherNames() {
    var aliases = UnitAliases()
    aliases.note("mariadb.service", names: ["mariadb.service", "mysql.service", "mysqld.service"])
    aliases.note("a.service", names: ["a.service"])
    #expect(aliases.names(of: "mariadb.service") == ["mysql.service", "mysqld.service"])
    #expect(aliases.names(of: "a.service").isEmpty)
    #expect(aliases.unit(named: "mysql.service") == "mariadb.service")
    #expect(aliases.described("mysql.service") == "mysql.service (alias of mariadb.service)")
    #expect(aliases.described("a.service") == "a.service")
  }
}
