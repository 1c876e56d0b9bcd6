package import JournalHookCore

/// Runs that wait: for a time, or for the end of a backlog.
///
/// Times are microseconds of CLOCK_MONOTONIC, which nobody can set; those of an earlier boot are over.
extension Ledger {
  /// Why a run waits for a time.
  enum Wait {
    /// `SettleSec=`: the unit may turn back until then.
    static let settle = "settle"
    /// It has failed, and will be tried again.
    static let retry = "retry"
    static let rateLimit = "rate-limit"
  }

  /// Has times count as those of this boot. To be called before they are used.
  package func startClock(boot: String) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      let known = try database.query("SELECT value FROM meta WHERE key = 'clock-boot'").first?.first?.text
      if known == boot { return }
      try database.query("UPDATE runs SET due = 0 WHERE due IS NOT NULL")
      try database.query("INSERT OR REPLACE INTO meta VALUES('clock-boot', ?)", .text(boot))
    }
  }

  /// When the next run that waits for a time is due; nil if none does.
  ///
  /// - Parameter settling: whether those count that wait for their unit to settle.
  package func nextDue(owner: String, settling: Bool) throws(SQLiteError) -> UInt64? {
    let others = settling ? "" : "AND wait <> 'settle'"
    return try database.query(
      "SELECT min(due) FROM runs WHERE due IS NOT NULL AND held = 0 AND owner = ? \(others)", .text(owner)
    ).first?.first?.integer.map { UInt64(clamping: $0) }
  }

  /// The runs whose time has come; they wait no more.
  package func takeDue(owner: String, settling: Bool, now: UInt64, limit: Int) throws(SQLiteError) -> [Run] {
    let others = settling ? "" : "AND wait <> 'settle'"
    return try database.transaction { () throws(SQLiteError) in
      let due = try runs(
        where: "due <= ? AND held = 0 AND owner = ? \(others) ORDER BY id LIMIT ?",
        [SQLiteValue(now), .text(owner), SQLiteValue(limit)])
      for run in due {
        // A retry can be overtaken until it begins.
        try database.query(
          "UPDATE runs SET due = NULL, wait = CASE wait WHEN 'retry' THEN wait END WHERE id = ?", .integer(run.id))
      }
      return due
    }
  }

  /// Retries that wait, or were let go and have not begun.
  package func waitingRetries(owner: String) throws(SQLiteError) -> [Run] {
    try runs(where: "wait = 'retry' AND open AND owner = ?", [.text(owner)])
  }

  /// Supersedes runs that wait and are overtaken by the event: settling ones, if the unit turns back in their time, and
  /// retries. Inside the caller's transaction.
  ///
  /// - Returns: those that were superseded.
  func supersedeWaiting(by event: LifecycleEvent, now: UInt64) throws(SQLiteError) -> [Run] {
    guard let turn = event.kind.turn else { return [] }
    let overtaken = try runs(
      where: """
        wait IN ('settle', 'retry') AND unit = ? AND machine = ? AND manager = ? AND open AND turn = ?
          AND event_id <> ? AND (wait = 'retry' OR settle_until >= ?)
        """,
      [
        .text(event.unit), .text(event.machine), .text(event.manager.ledgerName), .text(turn.opposite.rawValue),
        .text(event.id), SQLiteValue(event.realtime),
      ])
    for run in overtaken {
      try database.query(
        """
        UPDATE runs SET state = 'superseded', open = 0, due = NULL, wait = NULL, held = 0, ended = ?, reason = ?
        WHERE id = ?
        """, SQLiteValue(now), .text(Ledger.overtaken(by: event.kind)), .integer(run.id))
    }
    return overtaken
  }

  static func overtaken(by kind: LifecycleEvent.Kind) -> String { "the unit is \(kind.rawValue) since" }

  /// Gives up a run that waited for its hook's rate limit, as a later event's run waits instead.
  func giveUpRateLimited(event: String, hook: String, now: UInt64) throws(SQLiteError) {
    try database.query(
      """
      UPDATE runs SET state = 'rate-limited', open = 0, due = NULL, wait = NULL, ended = ?, reason = ?
      WHERE event_id = ? AND hook = ? AND due IS NOT NULL
      """, SQLiteValue(now),
      .text("more events than RateLimitBurst= in RateLimitIntervalSec=; a later one's run waits"),
      .text(event), .text(hook))
  }

  // MARK: The end of a backlog

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
      UPDATE runs SET state = 'superseded', open = 0, held = 0, due = NULL, wait = NULL, ended = ?, reason = ?
      WHERE held AND unit = ? AND event IN (\(kinds)) AND event_id <> ? AND machine = ?
      """,
      SQLiteValue(now), .text("CatchUp=latest: \(event.kind.rawValue) came later"), .text(event.unit), .text(event.id),
      .text(event.machine))
  }

  /// The backlog has been read: what is still held is to be done.
  package func releaseHeld(owner: String) throws(SQLiteError) {
    try database.query("UPDATE runs SET held = 0 WHERE held AND owner = ?", .text(owner))
  }
}
