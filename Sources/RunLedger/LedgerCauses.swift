internal import Systemd

/// Which runs have led to other runs.
extension Ledger {
  /// The runs of a hook, among its last 64, that were under way at a time or had ended shortly before it.
  ///
  /// - Parameters:
  ///   - time: microseconds since 1970.
  ///   - aftermath: how long before that time a run may have ended, in microseconds.
  package func runsUnderWay(
    of hook: String, at time: UInt64, aftermath: UInt64
  ) throws(SQLiteError) -> [(id: Int64, unit: String)] {
    try database.query(
      """
      SELECT id, unit FROM (SELECT id, unit, started, ended FROM runs WHERE hook = ?1 AND started IS NOT NULL
        ORDER BY id DESC LIMIT 64)
      WHERE started <= ?2 AND (ended IS NULL OR ended >= ?3)
      """, .text(hook), SQLiteValue(time), SQLiteValue(time &- min(time, aftermath))
    ).compactMap { row in
      guard let id = row[0].integer, let unit = row[1].text else { return nil }
      return (id, unit)
    }
  }

  /// How many runs of a hook for a unit were caused by other runs, among the hook's last 256.
  ///
  /// - Parameter time: only runs for events at this time or later count, in microseconds since 1970.
  package func countFollowing(hook: String, unit: String, since time: UInt64) throws(SQLiteError) -> Int {
    let count = try database.query(
      """
      SELECT count(*) FROM (SELECT unit, cause, event_time FROM runs WHERE hook = ? ORDER BY id DESC LIMIT 256)
      WHERE unit = ? AND cause IS NOT NULL AND event_time >= ?
      """, .text(hook), .text(unit), SQLiteValue(time)
    ).first?.first?.integer
    return Int(count ?? 0)
  }

  /// The chain of runs that have led to a run, with the run itself, the newest first; at most 257 runs.
  ///
  /// - Parameter time: the chain ends before an event that is earlier than this, in microseconds since 1970.
  package func causes(of run: Int64, since time: UInt64) throws(SQLiteError) -> [(hook: String, unit: String)] {
    try database.query(
      """
      WITH RECURSIVE chain(id, depth) AS (
        VALUES(?1, 0)
        UNION ALL SELECT runs.cause, depth + 1 FROM chain JOIN runs ON runs.id = chain.id
          WHERE runs.cause IS NOT NULL AND depth < 256 AND runs.event_time >= ?2)
      SELECT hook, unit FROM chain JOIN runs ON runs.id = chain.id WHERE event_time >= ?2 ORDER BY depth
      """, .integer(run), SQLiteValue(time)
    ).compactMap { row in
      guard let hook = row[0].text, let unit = row[1].text else { return nil }
      return (hook, unit)
    }
  }
}
