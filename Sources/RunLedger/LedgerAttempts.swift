internal import Lifecycle
package import Runs
internal import Systemd

/// The attempts of runs: their start, their end, and recovery after a crash.
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

  // MARK: After a crash

  /// The containers of attempts that may still hold processes. After a crash these are the processes that were left behind.
  package func containers(owner: String) throws(SQLiteError) -> [String] {
    try database.query(
      "SELECT container FROM attempts JOIN runs ON runs.id = run WHERE container IS NOT NULL AND owner = ?",
      .text(owner)
    ).compactMap { $0.first?.text }
  }

  /// Records that the processes of all containers of an owner were ended.
  package func forgetContainers(owner: String) throws(SQLiteError) {
    try database.query(
      "UPDATE attempts SET container = NULL WHERE container IS NOT NULL AND run IN (SELECT id FROM runs WHERE owner = ?)",
      .text(owner))
  }

  /// The owners of runs that are not final yet, or may have left processes behind.
  package func owners() throws(SQLiteError) -> [String] {
    try database.query(
      """
      SELECT DISTINCT owner FROM runs WHERE open
      UNION SELECT owner FROM attempts JOIN runs ON runs.id = run WHERE container IS NOT NULL
      """
    ).compactMap { $0.first?.text }
  }

  /// Gives the unfinished runs of an owner to another one.
  ///
  /// Runs that were never started are removed, as a replay can be repeated. But runs whose events follow has passed over,
  /// because the replay had them, go to follow. A run that waits to be tried again has been started: the new owner tries it.
  package func changeOwner(from old: String, to new: String) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try releaseUnstarted(owner: old)
      try database.query("UPDATE runs SET owner = ? WHERE owner = ? AND open", .text(new), .text(old))
      try database.query(
        """
        UPDATE runs SET owner = ? WHERE owner = ?
          AND id IN (SELECT run FROM attempts WHERE container IS NOT NULL)
        """, .text(new), .text(old))
    }
  }

  /// Records that an owner starts no more runs. The runs whose events follow has passed over go to follow. Of the rest, runs that
  /// waited to be tried again have failed.
  package func dropPending(owner: String) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try releaseUnstarted(owner: owner)
      try database.query(
        "UPDATE runs SET state = 'failed', open = 0, due = NULL, wait = NULL WHERE wait = 'retry' AND open AND owner = ?",
        .text(owner))
    }
  }

  /// Whether other owners have runs that go to follow if they do not do them.
  package func hasWantedRunsOfOthers() throws(SQLiteError) -> Bool {
    try !database.query("SELECT 1 FROM runs WHERE wanted AND open AND owner <> ? LIMIT 1", .text(RunOwner.follow))
      .isEmpty
  }

  /// The owners of those of the runs that are not final yet, with the number of runs of each owner.
  package func openRuns(among runs: [Int64]) throws(SQLiteError) -> [String: Int] {
    var owners: [String: Int] = [:]
    for run in runs {
      let row = try database.query("SELECT owner FROM runs WHERE id = ? AND open", .integer(run)).first
      if let owner = row?.first?.text { owners[owner, default: 0] += 1 }
    }
    return owners
  }

  /// The states of runs; nil for a run that the ledger no longer has.
  package func states(of runs: [Int64]) throws(SQLiteError) -> [Run.State?] {
    try runs.map { run throws(SQLiteError) in
      try database.query("SELECT state FROM runs WHERE id = ?", .integer(run)).first?.first?.text
        .flatMap(Run.State.init)
    }
  }

  /// Gives up the runs of an owner that are not under way. The runs whose events follow has passed over go to follow. Of the
  /// rest, runs that were never started are removed. To be called in a transaction.
  private func releaseUnstarted(owner: String) throws(SQLiteError) {
    try database.query(
      "UPDATE runs SET owner = ?, wanted = 0 WHERE wanted AND open AND state <> 'running' AND owner = ?",
      .text(RunOwner.follow), .text(owner))
    try database.query(
      "DELETE FROM runs WHERE owner = ? AND state = 'pending' AND open AND wait IS NOT 'retry'", .text(owner))
  }

  /// Marks open runs as failed whose event can no longer be read, and returns their numbers.
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

  /// What happens to a run that was under way when its owner died.
  package enum Interruption: Sendable {
    /// It is run again.
    case rerun
    /// It was interrupted too often: the run has failed.
    case gaveUp
    /// Its hook says `RerunInterrupted=no`: it stays interrupted.
    case left
  }

  /// Marks runs as interrupted that were under way when their owner died. They are run again, unless they were interrupted too
  /// often or the hook says `RerunInterrupted=no`.
  ///
  /// - Parameter mayRerun: whether runs of the hook with this name may be run again.
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

  /// With this number of interrupted attempts a run has failed.
  static let interruptionLimit = 3
}
