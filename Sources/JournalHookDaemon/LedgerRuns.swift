package import JournalHookCore

/// Runs and their attempts.
extension Ledger {
  /// Writes down runs that are not there yet, and returns those that are now to be done, inside the caller's transaction.
  ///
  /// A run is there once per event and hook, whoever has written it; `again` adds one all the same.
  func insert(_ planned: PlannedRun, owner: String, again: Bool, now: UInt64) throws(SQLiteError) -> Run? {
    let event = planned.event
    let repetition =
      again
      ? "(SELECT coalesce(max(again) + 1, 0) FROM runs WHERE event_id = ?1 AND hook = ?2)" : "0"
    try database.query(
      """
      INSERT INTO runs(event_id, hook, again, unit, event, event_json, event_time, event_monotonic, manager, mode, owner,
        held, state, reason, created, ended)
      VALUES(?1, ?2, \(repetition), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
      ON CONFLICT DO NOTHING
      """,
      .text(event.id), .text(planned.hook), .text(event.unit), .text(event.kind.rawValue), .text(event.json.text),
      .integer(Int64(clamping: event.realtime)), .integer(Int64(clamping: event.monotonic)),
      .text(event.manager.ledgerName), .text(planned.mode.rawValue), .text(owner), .integer(planned.isHeld ? 1 : 0),
      .text(planned.state.rawValue),
      SQLiteValue(planned.reason), .integer(Int64(clamping: now)),
      planned.state.isFinal ? .integer(Int64(clamping: now)) : .null)
    guard database.changes > 0, planned.state == .pending, !planned.isHeld else { return nil }
    return Run(id: database.lastRow, hook: planned.hook, event: event, mode: planned.mode, attempt: 1)
  }

  /// Whether a run of the hook for the event is written down, and what became of it.
  package func state(ofEvent event: String, hook: String) throws(SQLiteError) -> Run.State? {
    try database.query(
      "SELECT state FROM runs WHERE event_id = ? AND hook = ? ORDER BY again DESC LIMIT 1", .text(event), .text(hook)
    ).first?.first?.text.flatMap(Run.State.init)
  }

  /// Writes down that an attempt begins, before its process exists.
  package func begin(_ run: Run, container: String?, now: UInt64) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try database.query(
        "UPDATE runs SET state = 'running', attempt = ?, started = ?, ended = NULL, reason = NULL WHERE id = ?",
        SQLiteValue(run.attempt), SQLiteValue(now), .integer(run.id))
      try database.query(
        "INSERT OR REPLACE INTO attempts(run, attempt, state, started, container) VALUES(?, ?, 'running', ?, ?)",
        .integer(run.id), SQLiteValue(run.attempt), SQLiteValue(now), SQLiteValue(container))
    }
  }

  /// An attempt that was written down as begun was not.
  package func takeBack(_ run: Run) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try database.query(
        "DELETE FROM attempts WHERE run = ? AND attempt = ?", .integer(run.id), SQLiteValue(run.attempt))
      try database.query(
        "UPDATE runs SET state = ?, attempt = ?, started = NULL WHERE id = ?",
        .text((run.attempt > 1 ? Run.State.interrupted : .pending).rawValue), SQLiteValue(max(1, run.attempt - 1)),
        .integer(run.id))
    }
  }

  /// Writes down what became of an attempt, and thereby of its run.
  package func record(_ outcome: RunMachine.Outcome, of run: Run, now: UInt64) throws(SQLiteError) {
    let (code, status): (String?, Int32?) =
      switch outcome.exit {
      case .exited(let status): ("exited", status)
      case .killed(let signal): ("killed", signal)
      case .dumped(let signal): ("dumped", signal)
      case nil: (nil, nil)
      }
    let values: [SQLiteValue] = [
      .text(outcome.state.rawValue), SQLiteValue(outcome.reason), SQLiteValue(now), SQLiteValue(code),
      SQLiteValue(status), .integer(run.id),
    ]
    try database.transaction { () throws(SQLiteError) in
      try database.query(
        "UPDATE runs SET state = ?, reason = ?, ended = ?, exit_code = ?, exit_status = ?, held = 0 WHERE id = ?",
        values)
      try database.query(
        "UPDATE attempts SET state = ?, reason = ?, ended = ?, exit_code = ?, exit_status = ? WHERE run = ? AND attempt = ?",
        values + [SQLiteValue(run.attempt)])
    }
  }

  /// Writes down that nothing is left of an attempt's processes.
  package func release(_ run: Run) throws(SQLiteError) {
    try database.query(
      "UPDATE attempts SET container = NULL WHERE run = ? AND attempt = ?", .integer(run.id), SQLiteValue(run.attempt))
  }

  /// The containers of attempts that may still hold processes: after a crash, what it has left behind.
  package func containers(owner: String) throws(SQLiteError) -> [(run: Int64, attempt: Int, path: String)] {
    try database.query(
      """
      SELECT run, attempts.attempt, container FROM attempts JOIN runs ON runs.id = run
      WHERE container IS NOT NULL AND owner = ?
      """, .text(owner)
    ).compactMap { row in
      guard let run = row[0].integer, let attempt = row[1].integer, let path = row[2].text else { return nil }
      return (run, Int(attempt), path)
    }
  }

  /// Whose runs are not done yet, or may have left something behind.
  func owners() throws(SQLiteError) -> [String] {
    try database.query(
      """
      SELECT owner FROM runs WHERE state IN ('pending', 'running', 'interrupted')
      UNION SELECT owner FROM attempts JOIN runs ON runs.id = run WHERE container IS NOT NULL
      """
    ).compactMap { $0.first?.text }
  }

  /// Hands over what somebody has not finished. What was never begun is dropped: whoever asked for it may ask again.
  func changeOwner(from old: String, to new: String) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try dropPending(owner: old)
      try database.query("UPDATE runs SET owner = ? WHERE owner = ?", .text(new), .text(old))
    }
  }

  /// Forgets runs that were planned and never begun.
  func dropPending(owner: String) throws(SQLiteError) {
    try database.query("DELETE FROM runs WHERE owner = ? AND state = 'pending'", .text(owner))
  }

  /// Marks open runs failed whose event cannot be read any more, and returns their numbers.
  func failUndecodable(now: UInt64) throws(SQLiteError) -> [Int64] {
    let damaged = "state IN ('pending', 'running', 'interrupted') AND NOT json_valid(event_json)"
    let runs = try database.query("SELECT id FROM runs WHERE \(damaged)").compactMap { $0.first?.integer }
    try database.query(
      "UPDATE runs SET state = 'failed', ended = ?, reason = 'its event in the ledger is damaged' WHERE \(damaged)",
      SQLiteValue(now))
    return runs
  }

  /// What a crash has left behind is ended.
  package func forgetContainers(owner: String) throws(SQLiteError) {
    try database.query(
      "UPDATE attempts SET container = NULL WHERE container IS NOT NULL AND run IN (SELECT id FROM runs WHERE owner = ?)",
      .text(owner))
  }

  /// Runs that were under way when their owner died: their attempts are interrupted, and they are to be done again, unless
  /// that has happened too often.
  package func interruptRunning(
    owner: String, now: UInt64
  ) throws(SQLiteError) -> [(run: Int64, hook: String, gaveUp: Bool)] {
    try database.transaction { () throws(SQLiteError) in
      let reason = SQLiteValue.text("journalhook was killed or crashed")
      try database.query(
        """
        UPDATE attempts SET state = 'interrupted', reason = ?, ended = ? WHERE state = 'running'
          AND run IN (SELECT id FROM runs WHERE state = 'running' AND owner = ?)
        """, reason, SQLiteValue(now), .text(owner))
      try database.query(
        "UPDATE runs SET state = 'interrupted', reason = ? WHERE state = 'running' AND owner = ?", reason, .text(owner))
      let rows = try database.query(
        """
        SELECT id, hook, (SELECT count(*) FROM attempts WHERE run = id AND attempts.state = 'interrupted')
        FROM runs WHERE state = 'interrupted' AND owner = ?
        """, .text(owner))
      var interrupted: [(run: Int64, hook: String, gaveUp: Bool)] = []
      for row in rows {
        guard let id = row[0].integer, let hook = row[1].text, let count = row[2].integer else { continue }
        let gaveUp = count >= Ledger.interruptionLimit
        if gaveUp {
          try database.query(
            "UPDATE runs SET state = 'failed', ended = ?, reason = ? WHERE id = ?", SQLiteValue(now),
            .text("interrupted \(count) times"), .integer(id))
        }
        interrupted.append((id, hook, gaveUp))
      }
      return interrupted
    }
  }

  /// How often a run may be interrupted: the third time it is failed.
  static let interruptionLimit = 3

  /// Up to `limit` runs that wait to be done, oldest first, from behind a run's number on.
  package func openRuns(owner: String, after id: Int64, limit: Int) throws(SQLiteError) -> [Run] {
    try database.query(
      """
      SELECT id, hook, mode, state, attempt, \(Ledger.eventColumns) FROM runs
      WHERE state IN ('pending', 'interrupted') AND held = 0 AND owner = ? AND id > ? ORDER BY id LIMIT ?
      """, .text(owner), .integer(id), SQLiteValue(limit)
    ).compactMap { row in
      guard let id = row[0].integer, let hook = row[1].text, let mode = row[2].text.flatMap(Run.Mode.init),
        let attempt = row[4].integer, let event = LifecycleEvent(row: row[5...])
      else { return nil }
      let wasTried = row[3].text == Run.State.interrupted.rawValue
      return Run(id: id, hook: hook, event: event, mode: mode, attempt: Int(attempt) + (wasTried ? 1 : 0))
    }
  }

  /// Supersedes held runs of the event's unit that the event overtakes: those of the opposite turn, and the same hooks'
  /// runs for the same kind of event.
  func supersedeHeld(by event: LifecycleEvent, now: UInt64) throws(SQLiteError) {
    let opposite: [LifecycleEvent.Kind] =
      switch event.kind.turn {
      case .up: [.stopped, .failed, .gaveUp]
      case .down: [.started]
      case nil: []
      }
    let kinds = ([event.kind] + opposite).map { "'\($0.rawValue)'" }.joined(separator: ", ")
    try database.query(
      """
      UPDATE runs SET state = 'superseded', held = 0, ended = ?, reason = ?
      WHERE held AND unit = ? AND event IN (\(kinds)) AND event_id <> ? AND json_extract(event_json, '$.machine') = ?
      """,
      SQLiteValue(now), .text("CatchUp=latest: \(event.kind.rawValue) came later"), .text(event.unit), .text(event.id),
      .text(event.machine))
  }

  /// The backlog has been read: what is still held is to be done.
  package func releaseHeld(owner: String) throws(SQLiteError) {
    try database.query("UPDATE runs SET held = 0 WHERE held AND owner = ?", .text(owner))
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

  /// Does all that one look at the journal led to, at once: runs, cursor and tracker.
  ///
  /// - Returns: the runs that are now to be done.
  package func commit(
    _ planned: [PlannedRun], events: [LifecycleEvent], cursor: String?, reader: String,
    changes: Set<LifecycleTracker.Key>, tracker: LifecycleTracker, owner: String, isCatchingUp: Bool,
    again: Bool = false,
    now: UInt64
  ) throws(SQLiteError) -> [Run] {
    try database.transaction { () throws(SQLiteError) in
      var runs: [Run] = []
      var remaining = planned[...]
      for event in events {
        if isCatchingUp { try supersedeHeld(by: event, now: now) }
        while let next = remaining.first, next.event.id == event.id {
          remaining.removeFirst()
          if let run = try insert(next, owner: owner, again: again, now: now) { runs.append(run) }
        }
      }
      if let cursor { try save(cursor: cursor, of: reader) }
      try save(changes, of: tracker)
      return runs
    }
  }
}
