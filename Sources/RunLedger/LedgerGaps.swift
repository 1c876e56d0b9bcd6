package import Lifecycle
internal import Systemd

/// The gaps: time spans in which events may have been missed.
extension Ledger {
  /// A gap in the ledger.
  package struct NotedGap: Sendable, Equatable {
    /// The name of the reader that found it (`local`, …).
    package var reader: String
    /// The machine whose journal it is in.
    package var machine: String
    package var gap: Gap
    /// When it was found, in microseconds since 1970.
    package var noticed: UInt64

    package init(reader: String, machine: String, gap: Gap, noticed: UInt64) {
      self.reader = reader
      self.machine = machine
      self.gap = gap
      self.noticed = noticed
    }
  }

  /// How many gaps are kept.
  private static let mostGaps: Int64 = 1000

  /// Adds a gap, unless the ledger has it already: after a crash the same gap can be found again.
  ///
  /// - Returns: whether it was added.
  @discardableResult
  package func note(_ noted: NotedGap) throws(SQLiteError) -> Bool {
    let (gap, place) = (noted.gap, [SQLiteValue.text(noted.reader), .text(noted.machine)])
    return try database.transaction { () throws(SQLiteError) in
      let known = try database.query(
        "SELECT 1 FROM gaps WHERE reader = ? AND machine = ? AND since = ? AND kind = ? LIMIT 1",
        place + [SQLiteValue(gap.since), .text(gap.kind.rawValue)])
      guard known.isEmpty else { return false }
      try database.query(
        "INSERT INTO gaps(reader, machine, since, until, kind, noticed) VALUES(?, ?, ?, ?, ?, ?)",
        place + [
          SQLiteValue(gap.since), SQLiteValue(gap.until), .text(gap.kind.rawValue), SQLiteValue(noted.noticed),
        ])
      try database.query("DELETE FROM gaps WHERE id <= ?", .integer(database.lastRow - Ledger.mostGaps))
      return true
    }
  }

  /// The last gaps, the newest first.
  ///
  /// - Parameter since: only those that end at this time or later, in microseconds since 1970.
  package func gaps(since: UInt64 = 0, limit: Int = 100) throws(SQLiteError) -> [NotedGap] {
    try database.query(
      "SELECT reader, machine, since, until, kind, noticed FROM gaps WHERE until >= ? ORDER BY id DESC LIMIT ?",
      SQLiteValue(since), SQLiteValue(limit)
    ).compactMap { row in
      guard let reader = row[0].text, let machine = row[1].text, let since = row[2].integer,
        let until = row[3].integer, let kind = row[4].text.flatMap(Gap.Kind.init), let noticed = row[5].integer
      else { return nil }
      return NotedGap(
        reader: reader, machine: machine,
        gap: Gap(kind, since: UInt64(clamping: since), until: UInt64(clamping: until)),
        noticed: UInt64(clamping: noticed))
    }
  }

  /// When the last run up to a time was created, both in microseconds since 1970; nil if there is none.
  package func lastRunTime(until end: UInt64) throws(SQLiteError) -> UInt64? {
    try database.query("SELECT max(created) FROM runs WHERE created <= ?", SQLiteValue(end)).first?.first?.integer
      .map { UInt64(clamping: $0) }
  }

  /// The id of the machine whose boot this is; nil if it is not known.
  package func machine(ofBoot boot: String) throws(SQLiteError) -> String? {
    try database.query("SELECT machine FROM boots WHERE boot = ?", .text(boot)).first?.first?.text
  }
}
