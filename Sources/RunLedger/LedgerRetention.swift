package import Hooks
package import Systemd

/// How long finished runs are kept, and from when on none is missing.
extension Ledger {
  /// Removes finished runs that exceed `HistoryKeep=`, the oldest first. It removes a few at a time, so that nothing waits long.
  ///
  /// Runs that are open or may have left processes behind are not removed.
  ///
  /// - Parameters:
  ///   - position: the number of the run that was examined last; 0 starts with the oldest.
  ///   - limit: how many runs are examined.
  ///   - now: microseconds since 1970.
  /// - Returns: the position for the next call; nil when there is nothing more to remove.
  func removeRuns(
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
          // The following runs are younger, except for a few that were done late.
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

  /// By how much the number of runs exceeds a limit.
  private func runsBeyond(_ most: UInt32?) throws(SQLiteError) -> Int64 {
    guard let most else { return 0 }
    // Run numbers are consecutive: while their span is within the limit, the runs need not be counted.
    let span = try database.query("SELECT coalesce(max(id) - min(id) + 1, 0) FROM runs").first?.first?.integer ?? 0
    guard span > Int64(most) else { return 0 }
    let count = try database.query("SELECT count(*) FROM runs").first?.first?.integer ?? 0
    return count - Int64(most)
  }

  /// The time of the newest event whose runs may have been removed, in microseconds since 1970; nil if none was removed. When an
  /// event up to this time has no run in the ledger, there may still have been one.
  package func horizon() throws(SQLiteError) -> UInt64? {
    try database.query("SELECT value FROM meta WHERE key = 'horizon'").first?.first?.text.flatMap { UInt64($0) }
  }

  /// Records that runs for events up to a time may have been removed.
  func raiseHorizon(to time: UInt64) throws(SQLiteError) {
    guard time > (try horizon() ?? 0) else { return }
    try database.query("INSERT OR REPLACE INTO meta VALUES('horizon', ?)", .text(String(time)))
  }

  /// Checks that the ledger still has all runs for events from a time on: otherwise a replay would repeat runs.
  ///
  /// - Parameter time: microseconds since 1970.
  /// - Throws: `LedgerError` of kind `beforeHorizon`.
  package func requireRuns(since time: UInt64) throws {
    guard let horizon = try horizon(), time <= horizon else { return }
    throw LedgerError(
      kind: .beforeHorizon,
      description:
        "The ledger no longer has all runs for events up to \(Timestamp(microseconds: horizon)): runs that were done "
        + "would be repeated. Start later, or give --again to repeat them.")
  }
}

/// Removes the runs that exceed `HistoryKeep=`, in small steps between other work: when following starts, and after a number of
/// new runs. It uses no timer, so that an idle daemon sleeps.
package final class Retention {
  private let ledger: Ledger
  private let timers: any Timers
  private let keep: () -> HistoryKeep
  private var recorded = 0
  private var position: Int64 = 0
  private var turn: Timer?

  /// After this many new runs it looks for runs to remove.
  private static let interval = 500
  /// How many runs it examines in one step. This is more than `interval`, so that it keeps up.
  private static let stepSize = 1000

  package init(ledger: Ledger, timers: any Timers, keep: @escaping () -> HistoryKeep) {
    self.ledger = ledger
    self.timers = timers
    self.keep = keep
  }

  /// Call this with the number of runs that were added.
  package func noteRecorded(_ count: Int) {
    recorded += count
    if recorded >= Retention.interval { begin() }
  }

  /// Starts with the oldest run.
  package func begin() {
    recorded = 0
    position = 0
    scheduleStep()
  }

  private func scheduleStep() {
    guard turn == nil else { return }
    turn = timers.callSoon { [unowned self] in
      turn = nil
      // After an error of the ledger it tries again after the next `interval` runs.
      guard
        let next = try? ledger.removeRuns(
          beyond: keep(), after: position, limit: Retention.stepSize, now: timers.realtime)
      else { return }
      position = next
      scheduleStep()
    }
  }
}
