internal import Lifecycle
package import Runs
internal import Systemd

/// Attempts at runs: their beginnings, their ends, and what a crash has left of them.
extension Ledger {
  /// Writes down that an attempt begins, before its process exists.
  ///
  /// - Parameter others: who else does runs by this ledger now. The runs of one unit go one at a time and in the order of
  ///   events, whoever does them.
  /// - Returns: false if it has to wait for one of theirs.
  package func begin(
    _ run: Run, container: String?, isParallel: Bool = false, others: [String] = [], now: UInt64
  ) throws(SQLiteError) -> Bool {
    try database.transaction { () throws(SQLiteError) in
      for other in others where try isAhead(other, of: run, isParallel) { return false }
      try database.query(
        """
        UPDATE runs SET state = 'running', attempt = ?, started = ?, ended = NULL, reason = NULL, due = NULL, wait = NULL
        WHERE id = ?
        """, SQLiteValue(run.attempt), SQLiteValue(now), .integer(run.id))
      try database.query(
        "INSERT OR REPLACE INTO attempts(run, attempt, state, started, container) VALUES(?, ?, 'running', ?, ?)",
        .integer(run.id), SQLiteValue(run.attempt), SQLiteValue(now), SQLiteValue(container))
      return true
    }
  }

  private func isAhead(_ other: String, of run: Run, _ isParallel: Bool) throws(SQLiteError) -> Bool {
    let isInLane = isParallel ? "hook = ?5" : "(parallel = 0 OR hook = ?5)"
    return try !database.query(
      """
      SELECT 1 FROM runs WHERE open AND owner = ?1 AND unit = ?2 AND machine = ?3 AND held = 0 AND due IS NULL
        AND (state = 'running' OR (event_time, id) < (?4, ?6)) AND \(isInLane) LIMIT 1
      """, .text(other), .text(run.event.unit), .text(run.event.machine), SQLiteValue(run.event.realtime),
      .text(run.hook), .integer(run.id)
    ).isEmpty
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
  ///
  /// - Returns: the run that answers its failure.
  @discardableResult
  package func record(
    _ outcome: RunMachine.Outcome, of run: Run, _ consequence: RunConsequence = .final, owner: String,
    now: UInt64
  ) throws(SQLiteError) -> Run? {
    let (code, status): (String?, Int32?) =
      switch outcome.exit {
      case .exited(let status): ("exited", status)
      case .killed(let signal): ("killed", signal)
      case .dumped(let signal): ("dumped", signal)
      case nil: (nil, nil)
      }
    let end: [SQLiteValue] = [
      SQLiteValue(outcome.reason), SQLiteValue(now), SQLiteValue(code), SQLiteValue(status), .integer(run.id),
    ]
    var due: DueTime?
    var isOpen = false
    var state = outcome.state
    switch consequence {
    case .final, .mended, .unanswered: break
    case .rerun: isOpen = true
    case .retry(_, let time):
      (due, isOpen, state) = (time, true, .pending)
    }
    return try database.transaction { () throws(SQLiteError) in
      try database.query(
        """
        UPDATE runs SET reason = ?1, ended = ?2, exit_code = ?3, exit_status = ?4, held = 0, state = ?6, open = ?7, due = ?8,
          due_time = ?9, wait = ?10, retries = retries + ?11 WHERE id = ?5
        """,
        end + [
          .text(state.rawValue), .integer(isOpen ? 1 : 0), SQLiteValue(due?.monotonic),
          SQLiteValue(due?.realtime), due == nil ? .null : .text(Wait.retry),
          .integer(due == nil ? 0 : 1),
        ])
      try database.query(
        """
        UPDATE attempts SET reason = ?1, ended = ?2, exit_code = ?3, exit_status = ?4, state = ?6
        WHERE run = ?5 AND attempt = ?7
        """, end + [.text(attemptState(outcome).rawValue), SQLiteValue(run.attempt)])
      guard case .mended(let planned) = consequence else { return nil }
      return try insertAnswer(planned, to: run, owner: owner, now: now)
    }
  }

  /// Writes down the run that answers a failure that is written down already.
  package func answer(_ run: Run, by planned: PlannedRun, owner: String, now: UInt64) throws(SQLiteError) {
    _ = try database.transaction { () throws(SQLiteError) in
      try insertAnswer(planned, to: run, owner: owner, now: now)
    }
  }

  /// The hooks of a run and of those whose failure it answers, one after the other, the oldest first.
  package func failureChain(of run: Int64) throws(SQLiteError) -> [String] {
    try database.query(
      """
      WITH RECURSIVE chain(id, hook, cause, depth) AS (
        SELECT id, hook, iif(mends, cause, NULL), 0 FROM runs WHERE id = ?
        UNION ALL SELECT runs.id, runs.hook, iif(runs.mends, runs.cause, NULL), depth + 1
          FROM chain JOIN runs ON runs.id = chain.cause)
      SELECT hook FROM chain ORDER BY depth DESC
      """, .integer(run)
    ).compactMap { $0.first?.text }
  }

  private func insertAnswer(
    _ planned: PlannedRun, to run: Run, owner: String, now: UInt64
  ) throws(SQLiteError) -> Run? {
    guard var answer = try insert(planned, owner: owner, again: true, now: now) else { return nil }
    try database.query("UPDATE runs SET mends = 1 WHERE id = ?", .integer(answer.id))
    answer.failed = Run.FailedRun(id: run.id, hook: run.hook)
    return answer
  }

  /// A run that was overtaken while it failed has still failed in that attempt.
  private func attemptState(_ outcome: RunMachine.Outcome) -> Run.State {
    outcome.state == .superseded ? .failed : outcome.state
  }

  /// Writes down that nothing is left of an attempt's processes.
  package func release(_ run: Run) throws(SQLiteError) {
    try database.query(
      "UPDATE attempts SET container = NULL WHERE run = ? AND attempt = ?", .integer(run.id), SQLiteValue(run.attempt))
  }

  // MARK: After a crash

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

  /// What a crash has left behind is ended.
  package func forgetContainers(owner: String) throws(SQLiteError) {
    try database.query(
      "UPDATE attempts SET container = NULL WHERE container IS NOT NULL AND run IN (SELECT id FROM runs WHERE owner = ?)",
      .text(owner))
  }

  /// Whose runs are not done yet, or may have left something behind.
  package func owners() throws(SQLiteError) -> [String] {
    try database.query(
      """
      SELECT DISTINCT owner FROM runs WHERE open
      UNION SELECT owner FROM attempts JOIN runs ON runs.id = run WHERE container IS NOT NULL
      """
    ).compactMap { $0.first?.text }
  }

  /// Hands over what somebody has not finished. What was never begun is dropped: whoever asked for it may ask again. But what
  /// follow has passed over is follow's.
  package func changeOwner(from old: String, to new: String) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try letGo(owner: old)
      try database.query("UPDATE runs SET owner = ? WHERE owner = ? AND open", .text(new), .text(old))
      try database.query(
        """
        UPDATE runs SET owner = ? WHERE owner = ?
          AND id IN (SELECT run FROM attempts WHERE container IS NOT NULL)
        """, .text(new), .text(old))
    }
  }

  /// Hands over to follow what it has passed over, and writes down that the owner will do no more.
  package func dropPending(owner: String) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in try letGo(owner: owner) }
  }

  /// Whether others have runs to do which become follow's if they do not do them.
  package func hasWantedRunsOfOthers() throws(SQLiteError) -> Bool {
    try !database.query("SELECT 1 FROM runs WHERE wanted AND open AND owner <> ? LIMIT 1", .text(RunOwner.follow))
      .isEmpty
  }

  /// Whose runs these are that are not done yet, and how many of each.
  package func openRuns(among runs: [Int64]) throws(SQLiteError) -> [String: Int] {
    var owners: [String: Int] = [:]
    for run in runs {
      let row = try database.query("SELECT owner FROM runs WHERE id = ? AND open", .integer(run)).first
      if let owner = row?.first?.text { owners[owner, default: 0] += 1 }
    }
    return owners
  }

  /// The states of runs; those that are no longer there have none.
  package func states(of runs: [Int64]) throws(SQLiteError) -> [Run.State?] {
    try runs.map { run throws(SQLiteError) in
      try database.query("SELECT state FROM runs WHERE id = ?", .integer(run)).first?.first?.text
        .flatMap(Run.State.init)
    }
  }

  /// What follow has passed over becomes follow's. Of the rest, runs that were never begun are forgotten, and what has failed and
  /// would have been tried again has failed. Inside the caller's transaction.
  private func letGo(owner: String) throws(SQLiteError) {
    try database.query(
      "UPDATE runs SET owner = ?, wanted = 0 WHERE wanted AND open AND state <> 'running' AND owner = ?",
      .text(RunOwner.follow), .text(owner))
    try database.query(
      "UPDATE runs SET state = 'failed', open = 0, due = NULL, wait = NULL WHERE wait = 'retry' AND open AND owner = ?",
      .text(owner))
    try database.query("DELETE FROM runs WHERE owner = ? AND state = 'pending' AND open", .text(owner))
  }

  /// Marks open runs failed whose event cannot be read any more, and returns their numbers.
  package func failUndecodable(now: UInt64) throws(SQLiteError) -> [Int64] {
    let damaged = "open AND NOT json_valid(event_json)"
    let runs = try database.query("SELECT id FROM runs WHERE \(damaged)").compactMap { $0.first?.integer }
    try database.query(
      """
      UPDATE runs SET state = 'failed', open = 0, due = NULL, wait = NULL, held = 0, ended = ?,
        reason = 'its event in the ledger is damaged' WHERE \(damaged)
      """, SQLiteValue(now))
    return runs
  }

  /// What becomes of a run that was under way when its owner died.
  package enum Interruption: Sendable {
    case rerun
    /// It has happened too often: the run has failed.
    case gaveUp
    /// Its hook does not want to be run again.
    case left
  }

  /// Runs that were under way when their owner died: their attempts are interrupted, and they are to be done again, unless
  /// that has happened too often or the hook does not want it.
  package func interruptRunning(
    owner: String, now: UInt64, mayRerun: (String) -> Bool = { _ in true }
  ) throws(SQLiteError) -> [(run: Int64, hook: String, what: Interruption)] {
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
        FROM runs WHERE open AND state = 'interrupted' AND owner = ?
        """, .text(owner))
      var interrupted: [(run: Int64, hook: String, what: Interruption)] = []
      for row in rows {
        guard let id = row[0].integer, let hook = row[1].text, let count = row[2].integer else { continue }
        var what = Interruption.rerun
        if !mayRerun(hook) {
          what = .left
          try database.query("UPDATE runs SET open = 0, ended = ? WHERE id = ?", SQLiteValue(now), .integer(id))
        } else if count >= Ledger.interruptionLimit {
          what = .gaveUp
          try database.query(
            "UPDATE runs SET state = 'failed', open = 0, ended = ?, reason = ? WHERE id = ?", SQLiteValue(now),
            .text("interrupted \(count) times"), .integer(id))
        }
        interrupted.append((id, hook, what))
      }
      return interrupted
    }
  }

  /// How often a run may be interrupted: the third time it is failed.
  static let interruptionLimit = 3
}
