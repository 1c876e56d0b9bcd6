package import Lifecycle
package import Runs
internal import Systemd

/// Runs: what events lead to.
extension Ledger {
  /// All that one look at the journal led to.
  package struct Step {
    package var planned: [PlannedRun]
    package var events: [LifecycleEvent]
    /// The cursor behind what was read; nil if it stays.
    package var cursor: String?
    package var reader = ""
    /// Units whose tracked state has changed, and the tracker.
    package var changes: Set<LifecycleTracker.Key> = []
    package var tracker = LifecycleTracker()
    /// The windows of rate limits that have changed.
    package var rateLimits: [RateLimiter.Key: RateLimiter.Window?] = [:]
    package var isCatchingUp = false
    /// Runs that the ledger has are done again.
    package var again = false

    package init(planned: [PlannedRun], events: [LifecycleEvent]) {
      self.planned = planned
      self.events = events
    }
  }

  /// What became of it.
  package struct Commit {
    /// Runs that are now to be done.
    package var runs: [Run] = []
    /// Runs that waited, and are overtaken by an event of the step.
    package var superseded: [Run] = []
    /// The number of runs that were added and wait for a time.
    package var waiting = 0
    /// Runs that somebody else has written down and not done yet, by their numbers.
    package var others: [Int64] = []
  }

  /// Writes down runs, cursor and tracker at once.
  package func commit(_ step: Step, owner: String, now: UInt64) throws(SQLiteError) -> Commit {
    try database.transaction { () throws(SQLiteError) in
      var commit = Commit()
      var remaining = step.planned[...]
      for event in step.events {
        if step.isCatchingUp { try supersedeHeld(by: event, now: now) }
        commit.superseded += try supersedeWaiting(by: event, now: now)
        while let next = remaining.first, next.event.id == event.id {
          remaining.removeFirst()
          if let run = try insert(next, owner: owner, again: step.again, now: now) { commit.runs.append(run) }
          if database.changes == 0 {
            if let other = try noteOther(next, owner: owner) { commit.others.append(other) }
          } else if next.due != nil {
            commit.waiting += 1
          }
        }
      }
      if let cursor = step.cursor { try save(cursor: cursor, of: step.reader) }
      try save(step.changes, of: step.tracker)
      try save(step.rateLimits)
      return commit
    }
  }

  /// Writes down a run that is not there yet, and returns it if it is to be done now, inside the caller's transaction.
  ///
  /// A run is there once per event and hook, whoever has written it; `again` adds one all the same.
  func insert(_ planned: PlannedRun, owner: String, again: Bool, now: UInt64) throws(SQLiteError) -> Run? {
    let event = planned.event
    if let instead = planned.rateLimitedInstead {
      try giveUpRateLimited(event: instead, hook: planned.hook, until: planned.rateLimitEnd ?? now, now: now)
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

  /// A run that is planned is there already. If it is another's and not done yet, returns its number; if it is follow that has
  /// planned it, the run becomes follow's when its owner goes without having done it. Inside the caller's transaction.
  private func noteOther(_ planned: PlannedRun, owner: String) throws(SQLiteError) -> Int64? {
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

  /// Whether a run of the hook for the event is written down, and what became of it.
  package func state(ofEvent event: String, hook: String) throws(SQLiteError) -> Run.State? {
    try database.query(
      "SELECT state FROM runs WHERE event_id = ? AND hook = ? ORDER BY again DESC LIMIT 1", .text(event), .text(hook)
    ).first?.first?.text.flatMap(Run.State.init)
  }

  /// Up to `limit` runs that wait to be done, oldest first, from behind a run's number on.
  ///
  /// - Parameter series: only these; nil stands for all.
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

  /// Reads runs that are not under way.
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
