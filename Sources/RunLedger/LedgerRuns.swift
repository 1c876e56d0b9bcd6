internal import Lifecycle
package import Runs
internal import Systemd

/// The runs that events lead to.
extension Ledger {
  /// Adds a run, unless the ledger has it already. To be called in a transaction.
  ///
  /// The ledger has one run per event and hook, whoever has added it. `again` adds one more.
  ///
  /// - Returns: the run, if it was added and can start now.
  func insert(_ planned: PlannedRun, owner: String, again: Bool, now: UInt64) throws(SQLiteError) -> Run? {
    let event = planned.event
    if let instead = planned.rateLimitedInstead {
      try dropRateLimited(event: instead, hook: planned.hook, until: planned.rateLimitEnd ?? now, now: now)
    }
    let repetition =
      again
      ? "(SELECT coalesce(max(again) + 1, 0) FROM runs WHERE event_id = ?1 AND hook = ?2)" : "0"
    let wait: String? = planned.due.map { _ in planned.settle != nil ? Wait.settle : Wait.rateLimit }
    let values: [SQLiteValue] = [
      .text(event.id), .text(planned.hook), .text(event.unit), .text(event.kind.rawValue), .text(event.json.text),
      SQLiteValue(event.realtime), SQLiteValue(event.monotonic), .text(event.manager.ledgerName),
      .text(planned.mode.rawValue), .text(owner), .integer(planned.isHeld ? 1 : 0), .text(planned.state.rawValue),
      SQLiteValue(planned.reason), SQLiteValue(now), planned.state.isFinal ? SQLiteValue(now) : .null,
      .text(event.machine), SQLiteValue(event.kind.direction?.rawValue), .integer(planned.isParallel ? 1 : 0),
      SQLiteValue(planned.cause), SQLiteValue(wait), SQLiteValue(planned.due?.monotonic),
      SQLiteValue(planned.settle.map { event.realtime &+ $0 }), .integer(planned.state.isFinal ? 0 : 1),
      SQLiteValue(planned.due?.realtime),
    ]
    try database.query(
      """
      INSERT INTO runs(event_id, hook, again, unit, event, event_json, event_time, event_monotonic, manager, mode, owner,
        held, state, reason, created, ended, machine, turn, parallel, cause, wait, due, settle_until, open,
        due_time)
      VALUES(?1, ?2, \(repetition), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
        ?22, ?23, ?24)
      ON CONFLICT DO NOTHING
      """, values)
    guard database.changes > 0, planned.state == .pending, !planned.isHeld, planned.due == nil else { return nil }
    return Run(id: database.lastRow, hook: planned.hook, event: event, mode: planned.mode, attempt: 1)
  }

  /// Handles a planned run that the ledger has already: returns its number if it belongs to another owner and is not final yet.
  ///
  /// If follow has planned it, the run goes to follow when its owner ends without having done it. To be called in a transaction.
  func claimLater(_ planned: PlannedRun, owner: String) throws(SQLiteError) -> Int64? {
    guard planned.state == .pending else { return nil }
    let run = try database.query(
      "SELECT id FROM runs WHERE event_id = ? AND hook = ? AND open AND owner <> ? ORDER BY again LIMIT 1",
      .text(planned.event.id), .text(planned.hook), .text(owner)
    ).first?.first?.integer
    if let run, owner == RunOwner.follow {
      try database.query("UPDATE runs SET wanted = 1 WHERE id = ?", .integer(run))
    }
    return run
  }

  /// The state of the last run of a hook for an event; nil if the ledger has none.
  package func state(ofEvent event: String, hook: String) throws(SQLiteError) -> Run.State? {
    try database.query(
      "SELECT state FROM runs WHERE event_id = ? AND hook = ? ORDER BY again DESC LIMIT 1", .text(event), .text(hook)
    ).first?.first?.text.flatMap(Run.State.init)
  }

  /// Open runs that can start now, the oldest first.
  ///
  /// - Parameters:
  ///   - id: only runs with a greater number.
  ///   - limit: at most this many.
  ///   - series: only runs of this series; nil for all.
  package func openRuns(
    owner: String, after id: Int64, limit: Int, of series: RunSeries? = nil
  ) throws(SQLiteError) -> [Run] {
    var condition = "open AND state <> 'running' AND held = 0 AND due IS NULL AND owner = ? AND id > ?"
    var values: [SQLiteValue] = [.text(owner), .integer(id)]
    if let series {
      condition += " AND hook = ? AND unit = ? AND machine = ?"
      values += [.text(series.hook), .text(series.unit), .text(series.machine)]
    }
    return try runs(where: condition + " ORDER BY id LIMIT ?", values + [SQLiteValue(limit)])
  }

  /// Reads runs that are not under way, ready for their next attempt.
  package func runs(where condition: String, _ values: [SQLiteValue]) throws(SQLiteError) -> [Run] {
    let rows = try database.query(
      """
      SELECT id, hook, mode, (SELECT coalesce(max(attempt), 0) FROM attempts WHERE run = id), retries, cause,
        (SELECT hook FROM runs AS other WHERE other.id = runs.cause AND runs.mends), \(Ledger.eventColumns)
      FROM runs WHERE \(condition)
      """, values)
    return rows.compactMap { row in
      guard let id = row[0].integer, let hook = row[1].text, let mode = row[2].text.flatMap(Run.Mode.init),
        let attempt = row[3].integer, let retries = row[4].integer, let event = LifecycleEvent(row: row[7...])
      else { return nil }
      var run = Run(id: id, hook: hook, event: event, mode: mode, attempt: Int(attempt) + 1)
      run.retries = Int(retries)
      if let cause = row[5].integer, let failed = row[6].text { run.failed = .init(id: cause, hook: failed) }
      return run
    }
  }

  /// The last run of a hook: its state and when it was last changed, in microseconds since 1970.
  package func lastRun(of hook: String) throws(SQLiteError) -> (state: Run.State, unit: String, time: UInt64)? {
    let row = try database.query(
      "SELECT state, unit, coalesce(ended, started, created) FROM runs WHERE hook = ? ORDER BY id DESC LIMIT 1",
      .text(hook)
    ).first
    guard let row, let state = row[0].text.flatMap(Run.State.init), let unit = row[1].text else { return nil }
    return (state, unit, UInt64(clamping: row[2].integer ?? 0))
  }
}
