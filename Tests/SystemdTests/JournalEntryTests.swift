import Systemd
import Testing

@testable import Systemd

@Suite struct JournalEntryTests {
  private static func entry(_ fields: (String, String)...) -> JournalEntry {
    JournalEntry(
      fields: fields.map { .init(name: $0.0, bytes: Array($0.1.utf8)) }, cursor: "", realtime: 0, monotonic: 0, boot: ""
    )
  }

  @Test(
    arguments: [
      ("7d4958e842da4a758f6c1cdc7b36dcc5", 0x7d4958e842da4a758f6c1cdc7b36dcc5),
      ("00000000000000000000000000000009", 9),
      ("ffffffffffffffffffffffffffffffff", .max),
      ("7D4958E842DA4A758F6C1CDC7B36DCC5", nil), ("7d4958e842da4a758f6c1cdc7b36dcc", nil),
      ("7d4958e842da4a758f6c1cdc7b36dcc50", nil), ("7d4958e842da4a758f6c1cdc7b36dcg5", nil),
      ("/d4958e842da4a758f6c1cdc7b36dcc5", nil), ("7d4958e8-42da-4a75-8f6c-1cdc7b36", nil), ("", nil),
    ] as [(String, UInt128?)])
  func idsAreReadAsSystemdWritesThem(text: String, expected: UInt128?) {
    let entry = Self.entry(("MESSAGE_ID", text))
    #expect(entry.id("MESSAGE_ID") == expected)
    #expect(entry.has("MESSAGE_ID"))
    #expect(!entry.has("MESSAGE"))
  }

  @Test func fieldsAreFoundAmongManyAndRepetitionsAreDetected() {
    let many = (0..<500).map { (name: "FIELD_\($0)", value: "\($0)\n\0=") }
    var fields = many.map { JournalEntry.Field(name: $0.name, bytes: Array($0.value.utf8)) }
    // A field without a value, and one that is far longer than all others.
    fields += [.init(name: "E", bytes: []), .init(name: "LONG", bytes: Array(repeating: 0xFF, count: 100_000))]
    func entry() -> JournalEntry { JournalEntry(fields: fields, cursor: "", realtime: 0, monotonic: 0, boot: "") }
    #expect(entry().fields == fields)
    #expect(entry()["E"] == "")
    #expect(entry()["FIELD_499"] == "499\n\0=")
    #expect(entry().has("FIELD_7", "7\n\0="))
    #expect(!entry().has("FIELD_7", "7\n\0"))
    #expect(entry()["FIELD_500"] == nil)
    #expect(entry().count(of: "LONG") == 1)
    fields.append(.init(name: "FIELD_3", bytes: [1]))
    #expect(entry().hasRepetitions)
    #expect(entry().count(of: "FIELD_3") == 2)
    #expect(entry()["FIELD_3"] == "3\n\0=", "the value is that of the first field")
  }
}
