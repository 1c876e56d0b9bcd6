internal import Lifecycle
package import Runs
internal import Systemd

/// What follows the death of an owner: its containers, and who does its runs.
extension Ledger {
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
