internal import Hooks
internal import Lifecycle
package import Runs
internal import Systemd

/// Runs that wait: for a time, or for the end of a backlog.
///
/// `due` is in microseconds of CLOCK_MONOTONIC, which nobody can set; in a later boot it is computed anew from `due_time`.
extension Ledger {
  /// Why a run waits for a time.
  enum Wait {
    /// `SettleSec=`: the unit may turn back until then.
    static let settle = "settle"
    /// It has failed, and will be tried again.
    static let retry = "retry"
    static let rateLimit = "rate-limit"
  }

  /// Converts the times of runs that wait to this boot's monotonic clock. To be called before they are used.
  ///
  /// - Parameter now: the time, on this boot's clocks.
  package func startClock(boot: String, now: DueTime) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      let known = try database.query("SELECT value FROM meta WHERE key = 'clock-boot'").first?.first?.text
      if known == boot { return }
      // A retry that was let go and has not begun waits once more: its unit may be on its way up.
      let rows = try database.query(
        """
        SELECT id, due_time, coalesce(ended, event_time) FROM runs WHERE due IS NOT NULL
        UNION SELECT id, due_time, coalesce(ended, event_time) FROM runs WHERE wait = 'retry' AND open
        """)
      for row in rows {
        let due = DueTime.monotonic(
          of: row[1].integer.map { UInt64(clamping: $0) }, since: UInt64(clamping: row[2].integer ?? 0), now: now)
        try database.query("UPDATE runs SET due = ? WHERE id = ?", SQLiteValue(due), row[0])
      }
      try database.query("INSERT OR REPLACE INTO meta VALUES('clock-boot', ?)", .text(boot))
    }
  }

  /// When the next run that waits for a time is due; nil if none does.
  package func nextDue(owner: String) throws(SQLiteError) -> UInt64? {
    try database.query(
      "SELECT min(due) FROM runs WHERE due IS NOT NULL AND held = 0 AND owner = ?", .text(owner)
    ).first?.first?.integer.map { UInt64(clamping: $0) }
  }

  /// A run whose time has come waits on.
  package func putOff(_ run: Run, until due: DueTime) throws(SQLiteError) {
    try database.query(
      "UPDATE runs SET due = ?, due_time = ? WHERE id = ?", SQLiteValue(due.monotonic), SQLiteValue(due.realtime),
      .integer(run.id))
  }

  /// The runs whose time has come; they wait no more.
  package func takeDue(owner: String, now: UInt64, limit: Int) throws(SQLiteError) -> [Run] {
    try database.transaction { () throws(SQLiteError) in
      let due = try runs(
        where: "due <= ? AND held = 0 AND owner = ? ORDER BY id LIMIT ?",
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
    guard let turn = event.kind.direction else { return [] }
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
  ///
  /// - Parameter end: when the interval ends and it is reported, in microseconds since 1970.
  func giveUpRateLimited(event: String, hook: String, until end: UInt64, now: UInt64) throws(SQLiteError) {
    let waiting = try database.query(
      "SELECT unit FROM runs WHERE event_id = ? AND hook = ? AND due IS NOT NULL", .text(event), .text(hook))
    guard let unit = waiting.first?.first?.text else { return }
    try noteDropped(waiting.count, of: hook, unit: unit, .rateLimited, until: end)
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
      switch event.kind.direction {
      case .up: [.stopped, .failed, .gaveUp]
      case .down: [.started]
      case nil: []
      }
    let kinds = ([event.kind] + opposite).map { "'\($0.rawValue)'" }.joined(separator: ", ")
    let condition = "held AND unit = ? AND event IN (\(kinds)) AND event_id <> ? AND machine = ?"
    let values: [SQLiteValue] = [.text(event.unit), .text(event.id), .text(event.machine)]
    let overtaken = try database.query("SELECT hook, count(*) FROM runs WHERE \(condition) GROUP BY hook", values)
    for row in overtaken {
      guard let hook = row[0].text, let count = row[1].integer else { continue }
      try noteDropped(Int(count), of: hook, unit: event.unit, .superseded, until: 0)
    }
    if overtaken.isEmpty { return }
    try database.query(
      """
      UPDATE runs SET state = 'superseded', open = 0, held = 0, due = NULL, wait = NULL, ended = ?, reason = ?
      WHERE \(condition)
      """, [SQLiteValue(now), .text("CatchUp=latest: \(event.kind.rawValue) came later")] + values)
  }

  /// The backlog has been read: what is still held is to be done.
  package func releaseHeld(owner: String) throws(SQLiteError) {
    try database.query("UPDATE runs SET held = 0 WHERE held AND owner = ?", .text(owner))
  }
}
