package import Hooks
package import Systemd

/// What is kept of the past, and since when nothing is missing.
extension Ledger {
  /// Removes finished runs that are over the limits, oldest first: a few at a time, so that nobody waits for it.
  ///
  /// Runs stay that are open or may have left something behind.
  ///
  /// - Parameters:
  ///   - position: the number of the run looked at last; 0 to begin with the oldest.
  ///   - limit: how many runs are looked at.
  ///   - now: microseconds since 1970.
  /// - Returns: where to go on; nil when there is nothing more to remove.
  func forget(
    beyond keep: HistoryKeep, after position: Int64, limit: Int, now: UInt64
  ) throws(SQLiteError) -> Int64? {
    try database.transaction { () throws(SQLiteError) in
      let oldest = keep.time.isInfinite ? 0 : Int64(clamping: now) - Int64(clamping: keep.time.microseconds)
      var surplus = try runsBeyond(keep.runs)
      let rows = try database.query(
        """
        SELECT id, event_time, ended, NOT open AND ended IS NOT NULL AND NOT EXISTS(
          SELECT 1 FROM attempts WHERE run = id AND container IS NOT NULL)
        FROM runs WHERE id > ? ORDER BY id LIMIT ?
        """, .integer(position), SQLiteValue(limit))
      var horizon: Int64 = 0
      var last = position
      for row in rows {
        guard let id = row[0].integer else { continue }
        last = id
        guard row[3].integer == 1, let ended = row[2].integer else { continue }
        if surplus <= 0, ended >= oldest {
          // The others are younger, but for a few that were done late.
          last = .max
          break
        }
        try database.query("DELETE FROM runs WHERE id = ?", .integer(id))
        surplus -= 1
        horizon = max(horizon, row[1].integer ?? 0)
      }
      if horizon > 0 { try raiseHorizon(to: UInt64(horizon)) }
      return rows.count < limit || last == .max ? nil : last
    }
  }

  /// How many runs there are more than so many.
  private func runsBeyond(_ most: UInt32?) throws(SQLiteError) -> Int64 {
    guard let most else { return 0 }
    // Numbers are given one after the other: as long as they span no more, nothing need be counted.
    let span = try database.query("SELECT coalesce(max(id) - min(id) + 1, 0) FROM runs").first?.first?.integer ?? 0
    guard span > Int64(most) else { return 0 }
    let count = try database.query("SELECT count(*) FROM runs").first?.first?.integer ?? 0
    return count - Int64(most)
  }

  /// The time of the newest event whose runs may be forgotten, in microseconds since 1970: for events up to it, that there is
  /// no run does not say that there was none. nil as long as all is known.
  package func horizon() throws(SQLiteError) -> UInt64? {
    try database.query("SELECT value FROM meta WHERE key = 'horizon'").first?.first?.text.flatMap { UInt64($0) }
  }

  /// Writes down that runs of events up to a time are forgotten.
  func raiseHorizon(to time: UInt64) throws(SQLiteError) {
    guard time > (try horizon() ?? 0) else { return }
    try database.query("INSERT OR REPLACE INTO meta VALUES('horizon', ?)", .text(String(time)))
  }

  /// Refuses to look for what is missing in a time of which the ledger does not know any more what was done.
  ///
  /// - Throws: `LedgerError` of kind `beforeHorizon`.
  package func requireMemory(since time: UInt64) throws {
    guard let horizon = try horizon(), time <= horizon else { return }
    throw LedgerError(
      kind: .beforeHorizon,
      description:
        "What was done for events up to \(Timestamp(microseconds: horizon)) is no longer in the ledger: runs "
        + "that were done would be repeated. Begin later, or say --again if that is what is wanted.")
  }
}

/// Forgets what is over the limits, in small steps between other work: when following begins and after every so many runs,
/// never by a timer, for an idle daemon sleeps.
package final class Retention {
  private let ledger: Ledger
  private let timers: any Timers
  private let keep: () -> HistoryKeep
  private var recorded = 0
  private var position: Int64 = 0
  private var turn: Timer?

  /// So many more runs on record are reason to look again.
  private static let interval = 500
  /// So many runs are looked at in one step; more than `interval`, so that it keeps up.
  private static let stepSize = 1000

  package init(ledger: Ledger, timers: any Timers, keep: @escaping () -> HistoryKeep) {
    self.ledger = ledger
    self.timers = timers
    self.keep = keep
  }

  /// Notes that runs were written down.
  package func noteRecorded(_ count: Int) {
    recorded += count
    if recorded >= Retention.interval { begin() }
  }

  /// Looks through the oldest runs.
  package func begin() {
    recorded = 0
    position = 0
    goOn()
  }

  private func goOn() {
    guard turn == nil else { return }
    turn = timers.callSoon { [unowned self] in
      turn = nil
      // What the ledger refuses is tried again after the next so many runs.
      guard
        let next = try? ledger.forget(
          beyond: keep(), after: position, limit: Retention.stepSize, now: timers.realtime)
      else { return }
      position = next
      goOn()
    }
  }
}
