package import Runs
internal import Systemd

/// Dropped runs that are reported together, and the windows of rate limits.
extension Ledger {
  /// Counts dropped runs, to be reported later. To be called in a transaction.
  ///
  /// - Parameter end: when to report them, in microseconds since 1970; 0: when the backlog has been read.
  func noteDropped(
    _ count: Int, of hook: String, unit: String, _ state: Run.State, until end: UInt64
  ) throws(SQLiteError) {
    try database.query(
      """
      INSERT INTO dropped(until, hook, reason, unit, count) VALUES(?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET count = count + excluded.count
      """, SQLiteValue(end), .text(hook), .text(state.rawValue), .text(unit), SQLiteValue(count))
  }

  /// When the next dropped runs have to be reported, in microseconds since 1970; nil if there are none.
  package func nextReport() throws(SQLiteError) -> UInt64? {
    try database.query("SELECT min(until) FROM dropped").first?.first?.integer.map { UInt64(clamping: $0) }
  }

  /// Takes the dropped runs out of the ledger whose time to be reported has come.
  package func takeDropped(now: UInt64) throws(SQLiteError) -> [DroppedRuns] {
    try database.transaction { () throws(SQLiteError) in
      let rows = try database.query(
        "SELECT until, hook, reason, unit, count FROM dropped WHERE until <= ? ORDER BY until, hook, reason, unit",
        SQLiteValue(now))
      if !rows.isEmpty { try database.query("DELETE FROM dropped WHERE until <= ?", SQLiteValue(now)) }
      var all: [DroppedRuns] = []
      var last: ArraySlice<SQLiteValue> = []
      for row in rows {
        guard let hook = row[1].text, let state = row[2].text.flatMap(Run.State.init), let unit = row[3].text else {
          continue
        }
        if row[..<3] != last { all.append(DroppedRuns(hook: hook, state: state, units: [])) }
        last = row[..<3]
        all[all.count - 1].units.append((unit, Int(row[4].integer ?? 0)))
      }
      return all
    }
  }

  // MARK: Rate limits

  /// The windows of the rate limits of all hooks, as they were at the cursor.
  package func rateLimits() throws(SQLiteError) -> [RateLimiter.Key: RateLimiter.Window] {
    var windows: [RateLimiter.Key: RateLimiter.Window] = [:]
    for row in try database.query("SELECT hook, machine, units, start, interval, count, waiting FROM rate_limits") {
      guard let hook = row[0].text, let machine = row[1].text, let units = row[2].text, let start = row[3].integer,
        let interval = row[4].integer, let count = row[5].integer
      else { continue }
      windows[RateLimiter.Key(hook: hook, machine: machine, units: units)] = RateLimiter.Window(
        start: UInt64(clamping: start), interval: UInt64(clamping: interval), count: UInt32(clamping: count),
        waiting: row[6].text)
    }
    return windows
  }

  /// Writes the windows that have changed; nil removes one. To be called in a transaction.
  func save(_ windows: [RateLimiter.Key: RateLimiter.Window?]) throws(SQLiteError) {
    for (key, window) in windows {
      let name: [SQLiteValue] = [.text(key.hook), .text(key.machine), .text(key.units)]
      guard let window else {
        try database.query("DELETE FROM rate_limits WHERE hook = ? AND machine = ? AND units = ?", name)
        continue
      }
      try database.query(
        "INSERT OR REPLACE INTO rate_limits(hook, machine, units, start, interval, count, waiting) VALUES(?, ?, ?, ?, ?, ?, ?)",
        name + [
          SQLiteValue(window.start), SQLiteValue(window.interval), SQLiteValue(window.count),
          SQLiteValue(window.waiting),
        ])
    }
  }
}
