internal import Hooks
internal import Lifecycle
package import Runs
internal import Systemd

/// Runs that wait for a time, or for the end of a backlog.
///
/// `due` is in microseconds of CLOCK_MONOTONIC, which nobody can set. In a later boot it is computed again from `due_time`.
extension Ledger {
  /// Why a run waits for a time.
  enum Wait {
    /// `SettleSec=`: until then the unit may change its state back.
    static let settle = "settle"
    /// `RetrySec=`: it has failed and will be tried again.
    static let retry = "retry"
    /// `RateLimitIntervalSec=`: it waits for the end of the interval.
    static let rateLimit = "rate-limit"
  }

  /// Converts the times of waiting runs to the monotonic clock of this boot. To be called before these times are used.
  ///
  /// - Parameters:
  ///   - boot: the id of this boot.
  ///   - now: the current time, on both clocks.
  package func startClock(boot: String, now: DueTime) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      let known = try database.query("SELECT value FROM meta WHERE key = 'clock-boot'").first?.first?.text
      if known == boot { return }
      // A retry whose wait was over, but which has not started, waits once more: its unit may be coming up.
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

  /// When the next waiting run is due, in microseconds of CLOCK_MONOTONIC; nil if none waits for a time.
  package func nextDue(owner: String) throws(SQLiteError) -> UInt64? {
    try database.query(
      "SELECT min(due) FROM runs WHERE due IS NOT NULL AND held = 0 AND owner = ?", .text(owner)
    ).first?.first?.integer.map { UInt64(clamping: $0) }
  }

  /// Lets a run that was due wait longer.
  package func putOff(_ run: Run, until due: DueTime) throws(SQLiteError) {
    try database.query(
      "UPDATE runs SET due = ?, due_time = ? WHERE id = ?", SQLiteValue(due.monotonic), SQLiteValue(due.realtime),
      .integer(run.id))
  }

  /// Takes the runs that are due: they no longer wait.
  package func takeDue(owner: String, now: UInt64, limit: Int) throws(SQLiteError) -> [Run] {
    try database.transaction { () throws(SQLiteError) in
      let due = try runs(
        where: "due <= ? AND held = 0 AND owner = ? ORDER BY id LIMIT ?",
        [SQLiteValue(now), .text(owner), SQLiteValue(limit)])
      for run in due {
        // A retry can be superseded until it starts.
        try database.query(
          "UPDATE runs SET due = NULL, wait = CASE wait WHEN 'retry' THEN wait END WHERE id = ?", .integer(run.id))
      }
      return due
    }
  }

  /// The retries that wait, or whose wait is over but which have not started.
  package func waitingRetries(owner: String) throws(SQLiteError) -> [Run] {
    try runs(where: "wait = 'retry' AND open AND owner = ?", [.text(owner)])
  }

  /// Supersedes waiting runs for the unit when an event of the opposite direction comes: runs that settle, within their time, and
  /// retries. To be called in a transaction.
  ///
  /// - Returns: the runs that were superseded.
  func supersedeWaiting(by event: LifecycleEvent, now: UInt64) throws(SQLiteError) -> [Run] {
    guard let direction = event.kind.direction else { return [] }
    let overtaken = try runs(
      where: """
        wait IN ('settle', 'retry') AND unit = ? AND machine = ? AND manager = ? AND open AND turn = ?
          AND event_id <> ? AND (wait = 'retry' OR settle_until >= ?) AND \(Ledger.isNotAfter)
        """,
      [
        .text(event.unit), .text(event.machine), .text(event.manager.ledgerName), .text(direction.opposite.rawValue),
        .text(event.id), SQLiteValue(event.realtime),
      ] + Ledger.time(of: event))
    for run in overtaken {
      try database.query(
        """
        UPDATE runs SET state = 'superseded', open = 0, due = NULL, wait = NULL, held = 0, ended = ?, reason = ?
        WHERE id = ?
        """, SQLiteValue(now), .text(Ledger.reason(supersededBy: event.kind)), .integer(run.id))
    }
    return overtaken
  }

  /// Whether the event of a run is not later than another one, whose `time(of:)` are the values. A span of the journal can be read
  /// again, by `follow --since` or by a replay: what came before the event of a run does not supersede it. The monotonic clock
  /// counts within a boot, because the other one may have jumped.
  private static let isNotAfter = """
    CASE WHEN json_valid(event_json) AND json_extract(event_json, '$.boot') = ? THEN event_monotonic <= ?
      ELSE event_time <= ? END
    """

  private static func time(of event: LifecycleEvent) -> [SQLiteValue] {
    [.text(event.boot), SQLiteValue(event.monotonic), SQLiteValue(event.realtime)]
  }

  /// The reason of a run that an event of a kind has superseded.
  static func reason(supersededBy kind: LifecycleEvent.Kind) -> String {
    "the unit had the event '\(kind.rawValue)' later"
  }

  /// Drops a run that waited for the rate limit of its hook, because the run of a later event waits instead.
  ///
  /// - Parameter end: when the interval ends and the run is reported, in microseconds since 1970.
  func dropRateLimited(event: String, hook: String, until end: UInt64, now: UInt64) throws(SQLiteError) {
    let waiting = try database.query(
      "SELECT unit FROM runs WHERE event_id = ? AND hook = ? AND due IS NOT NULL", .text(event), .text(hook))
    guard let unit = waiting.first?.first?.text else { return }
    try noteDropped(waiting.count, of: hook, unit: unit, .rateLimited, until: end)
    try database.query(
      """
      UPDATE runs SET state = 'rate-limited', open = 0, due = NULL, wait = NULL, ended = ?, reason = ?
      WHERE event_id = ? AND hook = ? AND due IS NOT NULL
      """, SQLiteValue(now),
      .text("more events than RateLimitBurst= in RateLimitIntervalSec=; the run of a later event waits"),
      .text(event), .text(hook))
  }

  // MARK: The end of a backlog

  /// Supersedes held runs for the unit of the event: runs for events of the opposite direction, and runs of the same hooks for
  /// the same kind of event.
  func supersedeHeld(by event: LifecycleEvent, now: UInt64) throws(SQLiteError) {
    let opposite: [LifecycleEvent.Kind] =
      switch event.kind.direction {
      case .up: [.stopped, .failed, .gaveUp]
      case .down: [.started]
      case nil: []
      }
    let kinds = ([event.kind] + opposite).map { "'\($0.rawValue)'" }.joined(separator: ", ")
    let condition =
      "held AND unit = ? AND event IN (\(kinds)) AND event_id <> ? AND machine = ? AND \(Ledger.isNotAfter)"
    let values: [SQLiteValue] = [.text(event.unit), .text(event.id), .text(event.machine)] + Ledger.time(of: event)
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

  /// Lets the held runs start. To be called when the backlog has been read.
  package func releaseHeld(owner: String) throws(SQLiteError) {
    try database.query("UPDATE runs SET held = 0 WHERE held AND owner = ?", .text(owner))
  }
}
