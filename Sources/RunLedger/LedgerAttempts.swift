internal import Lifecycle
package import Runs
internal import Systemd

/// The attempts of runs: their start and their end.
extension Ledger {
  /// What became of an attempt that was to begin.
  package enum Begin: Equatable {
    case begun
    /// A run of another owner, whose process runs, comes first.
    case mustWait
    /// Owners that were killed may have left processes in these containers, for the same unit. They have to be ended first.
    case leftovers([String])
  }

  /// Records the start of an attempt, before its process exists.
  ///
  /// The runs of one unit are done one at a time and in the order of their events, whoever does them.
  ///
  /// - Parameters:
  ///   - owner: who does the run.
  ///   - ended: containers of others that were emptied.
  package func begin(
    _ run: Run, container: String?, isParallel: Bool = false, owner: String, ended: Set<String> = [], now: UInt64
  ) throws(SQLiteError) -> Begin {
    // All in one transaction: no other owner can start a run, or begin to live, between the question and the answer.
    try database.transaction { () throws(SQLiteError) in
      var leftovers: [String] = []
      for other in try otherOwners(besides: owner) {
        if other.isAlive == true, try isAhead(other.name, of: run, isParallel) { return .mustWait }
        if other.isAlive == false { leftovers += try containers(of: other.name, beside: run, isParallel) }
      }
      leftovers.removeAll { ended.contains($0) }
      guard leftovers.isEmpty else { return .leftovers(leftovers) }
      try database.query(
        """
        UPDATE runs SET state = 'running', attempt = ?, started = ?, ended = NULL, reason = NULL, due = NULL, wait = NULL
        WHERE id = ?
        """, SQLiteValue(run.attempt), SQLiteValue(now), .integer(run.id))
      try database.query(
        "INSERT OR REPLACE INTO attempts(run, attempt, state, started, container) VALUES(?, ?, 'running', ?, ?)",
        .integer(run.id), SQLiteValue(run.attempt), SQLiteValue(now), SQLiteValue(container))
      return .begun
    }
  }

  /// The runs that must not be done at the same time as a run of hook ?4.
  private static func lane(_ isParallel: Bool) -> String { isParallel ? "hook = ?4" : "(parallel = 0 OR hook = ?4)" }

  /// Whether another owner has a run for the same unit that has to be done before this one.
  private func isAhead(_ other: String, of run: Run, _ isParallel: Bool) throws(SQLiteError) -> Bool {
    try !database.query(
      """
      SELECT 1 FROM runs WHERE open AND owner = ?1 AND unit = ?2 AND machine = ?3 AND held = 0 AND due IS NULL
        AND (state = 'running' OR (event_time, id) < (?5, ?6)) AND \(Ledger.lane(isParallel)) LIMIT 1
      """, .text(other), .text(run.event.unit), .text(run.event.machine), .text(run.hook),
      SQLiteValue(run.event.realtime), .integer(run.id)
    ).isEmpty
  }

  /// The containers of another owner's runs that must not be done at the same time as this one.
  private func containers(of other: String, beside run: Run, _ isParallel: Bool) throws(SQLiteError) -> [String] {
    try database.query(
      """
      SELECT container FROM attempts JOIN runs ON runs.id = run WHERE container IS NOT NULL AND owner = ?1 AND unit = ?2
        AND machine = ?3 AND \(Ledger.lane(isParallel))
      """, .text(other), .text(run.event.unit), .text(run.event.machine), .text(run.hook)
    ).compactMap { $0.first?.text }
  }

  /// Removes the record of an attempt that could not be started after all.
  package func takeBack(_ run: Run) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try database.query(
        "DELETE FROM attempts WHERE run = ? AND attempt = ?", .integer(run.id), SQLiteValue(run.attempt))
      try database.query(
        "UPDATE runs SET state = ?, attempt = ?, started = NULL, wait = ? WHERE id = ?",
        .text((run.attempt > 1 && run.retries == 0 ? Run.State.interrupted : .pending).rawValue),
        // A retry can still be superseded.
        SQLiteValue(max(1, run.attempt - 1)), run.retries > 0 ? .text(Wait.retry) : .null, .integer(run.id))
    }
  }

  /// Records the outcome of an attempt, and with it the outcome of its run.
  ///
  /// - Returns: the run of the hook in `OnHookFailure=`, if this failure leads to one.
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

  /// Adds the run of the hook in `OnHookFailure=` for a failure that is already recorded.
  package func answer(_ run: Run, by planned: PlannedRun, owner: String, now: UInt64) throws(SQLiteError) {
    _ = try database.transaction { () throws(SQLiteError) in
      try insertAnswer(planned, to: run, owner: owner, now: now)
    }
  }

  /// The hooks of a run and of the runs whose failures have led to it by `OnHookFailure=`, the oldest first.
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

  /// The state of the attempt. A run that is superseded instead of retried has still failed in this attempt.
  private func attemptState(_ outcome: RunMachine.Outcome) -> Run.State {
    outcome.state == .superseded ? .failed : outcome.state
  }

  /// Records that no process of an attempt is left.
  package func release(_ run: Run) throws(SQLiteError) {
    try database.query(
      "UPDATE attempts SET container = NULL WHERE run = ? AND attempt = ?", .integer(run.id), SQLiteValue(run.attempt))
  }
}
