/// The tables of the ledger, and the migration from earlier versions.
enum LedgerSchema {
  /// The version of a database for which all steps were done (`PRAGMA user_version`).
  static var version: Int64 { Int64(steps.count) }

  /// The version of a database; 0 for a new one.
  static func version(of database: SQLiteDatabase) throws(SQLiteError) -> Int64 {
    try database.query("PRAGMA user_version").first?.first?.integer ?? 0
  }

  /// Whether a database has the tables of a version.
  static func isWhole(_ database: SQLiteDatabase, _ version: Int64) throws(SQLiteError) -> Bool {
    if version < 1 { return true }
    let tables =
      ["cursors", "units", "unit_events", "boots", "runs", "attempts"] + (version > 1 ? ["meta"] : [])
      + (version > 5 ? ["gaps"] : [])
    let names = tables.map { "'\($0)'" }.joined(separator: ", ")
    return try database.query("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN (\(names))")
      == [[.integer(Int64(tables.count))]]
  }

  /// Does all steps that a database lacks, in one transaction.
  static func migrate(_ database: SQLiteDatabase, to version: Int64 = version) throws(SQLiteError) {
    guard try self.version(of: database) < version else { return }
    try database.transaction { () throws(SQLiteError) in
      // Read again with the write lock held: another process may have been faster.
      let first = try self.version(of: database)
      guard first < version else { return }
      for step in steps[Int(first)..<Int(version)] { try database.execute(step) }
      try database.execute("PRAGMA user_version=\(version)")
    }
  }

  /// Step n turns version n - 1 into version n. A step that was released is never changed: existing ledgers have already done
  /// it.
  private static let steps = [
    // 1: the first version.
    """
    CREATE TABLE cursors(
      reader TEXT PRIMARY KEY,
      cursor TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE units(
      machine TEXT NOT NULL, manager TEXT NOT NULL, unit TEXT NOT NULL,
      state TEXT NOT NULL,
      PRIMARY KEY(machine, manager, unit)
    ) WITHOUT ROWID;
    CREATE TABLE unit_events(
      machine TEXT NOT NULL, manager TEXT NOT NULL, unit TEXT NOT NULL,
      role TEXT NOT NULL,
      event_json TEXT NOT NULL, event_time INTEGER NOT NULL, event_monotonic INTEGER NOT NULL,
      PRIMARY KEY(machine, manager, unit, role)
    ) WITHOUT ROWID;
    CREATE TABLE boots(machine TEXT PRIMARY KEY, boot TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE runs(
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      event_id TEXT NOT NULL,
      hook TEXT NOT NULL,
      again INTEGER NOT NULL DEFAULT 0,
      unit TEXT NOT NULL,
      event TEXT NOT NULL,
      event_json TEXT NOT NULL,
      event_time INTEGER NOT NULL,
      event_monotonic INTEGER NOT NULL,
      manager TEXT NOT NULL,
      mode TEXT NOT NULL,
      owner TEXT NOT NULL,
      held INTEGER NOT NULL DEFAULT 0,
      state TEXT NOT NULL,
      attempt INTEGER NOT NULL DEFAULT 1,
      reason TEXT,
      created INTEGER NOT NULL,
      started INTEGER,
      ended INTEGER,
      exit_code TEXT,
      exit_status INTEGER,
      UNIQUE(event_id, hook, again)
    );
    CREATE INDEX runs_open ON runs(state) WHERE state IN ('pending', 'running', 'interrupted');
    CREATE INDEX runs_by_hook ON runs(hook, id);
    CREATE INDEX runs_held ON runs(unit) WHERE held;
    CREATE TABLE attempts(
      run INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
      attempt INTEGER NOT NULL,
      state TEXT NOT NULL,
      reason TEXT,
      started INTEGER NOT NULL,
      ended INTEGER,
      exit_code TEXT,
      exit_status INTEGER,
      container TEXT,
      PRIMARY KEY(run, attempt)
    ) WITHOUT ROWID;
    CREATE INDEX attempts_contained ON attempts(run) WHERE container IS NOT NULL;
    """,
    // 2: runs that wait for a time. `due`: when the run can start, in microseconds of CLOCK_MONOTONIC of this boot; NULL: at once.
    // `turn`: the direction of the event, up or down. `wait`: the reason to wait (settle, retry, rate-limit). `settle_until`: an
    // event of the opposite direction up to this time supersedes the run. `cause`: the run whose effect or failure led to this one.
    // `mends`: 1 if it was the failure (OnHookFailure=). `open`: 1 if the state is not final.
    """
    ALTER TABLE runs ADD COLUMN machine TEXT NOT NULL DEFAULT '';
    ALTER TABLE runs ADD COLUMN turn TEXT;
    ALTER TABLE runs ADD COLUMN due INTEGER;
    ALTER TABLE runs ADD COLUMN wait TEXT;
    ALTER TABLE runs ADD COLUMN settle_until INTEGER;
    ALTER TABLE runs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN cause INTEGER;
    ALTER TABLE runs ADD COLUMN mends INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN parallel INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
    UPDATE runs SET open = 1 WHERE state IN ('pending', 'running', 'interrupted');
    UPDATE runs SET machine = coalesce(json_extract(event_json, '$.machine'), '') WHERE json_valid(event_json);
    DROP INDEX runs_open;
    CREATE INDEX runs_open ON runs(owner, id) WHERE open;
    CREATE INDEX runs_due ON runs(due) WHERE due IS NOT NULL;
    CREATE INDEX runs_waiting ON runs(unit) WHERE wait IS NOT NULL;
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
    """,
    // 3: in the JSON of events `restart` and `auto` become `restart_job` and `auto_restart`.
    ["runs", "unit_events"].map { table in
      [("restart", "restart_job"), ("auto", "auto_restart")].map { old, new in
        """
        UPDATE \(table) SET event_json = json_remove(
          json_set(event_json, '$.\(new)', json(iif(json_extract(event_json, '$.\(old)'), 'true', 'false'))), '$.\(old)')
        WHERE iif(json_valid(event_json), json_type(event_json, '$.\(old)') IS NOT NULL, 0);
        """
      }.joined(separator: "\n")
    }.joined(separator: "\n"),
    // 4: `wanted`: 1 if follow has passed over the event because a replay had the run. When the replay ends without having done
    // the run, it goes to follow.
    """
    ALTER TABLE runs ADD COLUMN wanted INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX runs_wanted ON runs(owner) WHERE wanted AND open;
    """,
    // 5: waits and rate limits that stay valid after a reboot. `due_time`: `due` in microseconds since 1970, for later boots;
    // NULL: at once. `rate_limits`: the windows of the rate limits, by event time; `waiting`: the id of the event whose run waits.
    // `dropped`: how many runs were dropped for a reason, until they are reported together at `until` (event time; 0: when the
    // backlog has been read).
    """
    ALTER TABLE runs ADD COLUMN due_time INTEGER;
    UPDATE runs SET due_time = settle_until WHERE due IS NOT NULL AND wait = 'settle';
    CREATE TABLE rate_limits(
      hook TEXT NOT NULL, machine TEXT NOT NULL, units TEXT NOT NULL,
      start INTEGER NOT NULL, interval INTEGER NOT NULL, count INTEGER NOT NULL, waiting TEXT,
      PRIMARY KEY(hook, machine, units)
    ) WITHOUT ROWID;
    CREATE TABLE dropped(
      until INTEGER NOT NULL, hook TEXT NOT NULL, reason TEXT NOT NULL, unit TEXT NOT NULL, count INTEGER NOT NULL,
      PRIMARY KEY(until, hook, reason, unit)
    ) WITHOUT ROWID;
    """,
    // 6: spans of the journal of which entries may be missing. Earlier versions made the table when they needed it first.
    """
    CREATE TABLE IF NOT EXISTS gaps(
      id INTEGER PRIMARY KEY, reader TEXT, machine TEXT, since INTEGER, until INTEGER, kind TEXT, noticed INTEGER);
    """,
  ]
}
