import Lifecycle

@testable import RunLedger

/// What is in a ledger, as far as it is promised to anybody.
struct LedgerContent: Equatable {
  /// All rows of all tables.
  let rows: [String]
  /// The number of the event after which the reader goes on; nil if there is no cursor.
  let cursor: Int?
  /// The numbers of the events that have a run of the hook that answers all of them.
  let answered: Set<Int>
  /// The number of the last event whose run may have been removed.
  let horizon: Int
  /// The keys of the runs that are final, and of those that are not.
  let finished: Set<String>
  let open: Set<String>

  static func == (one: LedgerContent, other: LedgerContent) -> Bool { one.rows == other.rows }

  init(_ database: SQLiteDatabase) throws {
    rows = try database.query(LedgerContent.dump).map { $0.first?.text ?? "" }
    let cursor = try database.query("SELECT cursor FROM cursors WHERE reader = 'local'").first?.first?.text
    self.cursor = cursor.map(EventNumber.ofCursor)
    var answered: Set<Int> = []
    var finished: Set<String> = []
    var open: Set<String> = []
    for row in try database.query("SELECT event_time, hook, again, open FROM runs") {
      let number = EventNumber.ofTime(row[0].integer ?? 0)
      let hook = row[1].text ?? ""
      if hook == LedgerLife.hook { answered.insert(number) }
      let key = "\(number) \(hook) \(row[2].integer ?? 0)"
      if row[3].integer == 1 { open.insert(key) } else { finished.insert(key) }
    }
    (self.answered, self.finished, self.open) = (answered, finished, open)
    let horizon = try database.query("SELECT value FROM meta WHERE key = 'horizon'").first?.first?.text
    self.horizon = horizon.flatMap { Int64($0) }.map(EventNumber.ofTime) ?? 0
  }

  /// The first event that the cursor has passed and that has no run, although none was removed.
  var lost: Int? {
    guard let cursor, cursor > horizon else { return nil }
    return ((horizon + 1)...cursor).first { !answered.contains($0) }
  }

  /// One row for each table, with all that is in it.
  private static let dump: String = {
    guard let database = try? SQLiteDatabase(path: ":memory:") else { fatalError("no SQLite") }
    func names(_ sql: String) -> [String] { ((try? database.query(sql)) ?? []).compactMap { $0.first?.text } }
    do { try LedgerSchema.migrate(database) } catch { fatalError("\(error)") }
    return names("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").map { table in
      let columns = names("SELECT name FROM pragma_table_info('\(table)')")
      let row = columns.map { "quote(\($0))" }.joined(separator: " || ' ' || ")
      return
        "SELECT '\(table): ' || (SELECT group_concat(row, char(10)) FROM (SELECT \(row) AS row FROM \(table) ORDER BY 1))"
    }.joined(separator: " UNION ALL ")
  }()
}

/// The events of a life have numbers from 1 on, and their times and cursors say which.
enum EventNumber {
  private static let base: UInt64 = 1_700_000_000_000_000

  /// When an event was logged, in microseconds since 1970.
  static func time(_ number: Int) -> UInt64 { base + UInt64(number) * 1_000_000 }

  static func ofTime(_ time: Int64) -> Int { Int((time - Int64(base)) / 1_000_000) }

  static func cursor(_ number: Int) -> String {
    func hex(_ number: UInt64) -> String { String(number, radix: 16) }
    return "s=98517bc85f8742f480491d9af697580e;i=\(hex(UInt64(number)));b=e49253355d24485eb6bf332ea39713fe;"
      + "m=\(hex(UInt64(number) * 1_000_000));t=\(hex(time(number)));x=\(hex(UInt64(number) &* 0x9E37_79B9_7F4A_7C15))"
  }

  static func ofCursor(_ text: String) -> Int {
    if text.hasPrefix("@") { return Int64(text.dropFirst()).map(ofTime) ?? -1 }
    return text.split(separator: ";").first { $0.hasPrefix("i=") }.flatMap { Int($0.dropFirst(2), radix: 16) } ?? -1
  }
}
