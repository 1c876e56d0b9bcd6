package import JournalHookCore

/// How far the journal was read, and what the tracker knew there.
extension Ledger {
  /// The cursor of the last entry that was dealt with, of one reader (`local`, or a folder's machine).
  package func cursor(of reader: String) throws(SQLiteError) -> String? {
    try database.query("SELECT cursor FROM cursors WHERE reader = ?", .text(reader)).first?.first?.text
  }

  /// The tracker as it was at the cursor.
  package func tracker() throws(SQLiteError) -> LifecycleTracker {
    var units: [LifecycleTracker.Key: UnitState] = [:]
    let rows = try database.query(
      """
      SELECT machine, manager, unit, state, pending_since, \(Ledger.eventColumns("pending")),
        \(Ledger.eventColumns("pending_failure")) FROM units
      """)
    for row in rows {
      guard let machine = row[0].text, let manager = Manager(ledgerName: row[1].text ?? ""), let unit = row[2].text,
        var state = UnitState(ledgerText: row[3].text ?? "")
      else { continue }
      let since = UInt64(clamping: row[4].integer ?? 0)
      let width = Ledger.eventColumnCount
      state.pending = LifecycleEvent(row: row[5..<5 + width], monotonic: since)
      state.pendingFailure = LifecycleEvent(row: row[(5 + width)..<(5 + 2 * width)], monotonic: since)
      units[.init(machine: machine, manager: manager, unit: unit)] = state
    }
    var boots: [String: String] = [:]
    for row in try database.query("SELECT machine, boot FROM boots") {
      if let machine = row[0].text { boots[machine] = row[1].text }
    }
    return LifecycleTracker(units: units, boots: boots)
  }

  /// Writes the cursor, inside the caller's transaction.
  func save(cursor: String, of reader: String) throws(SQLiteError) {
    try database.query(
      "INSERT INTO cursors VALUES(?, ?) ON CONFLICT(reader) DO UPDATE SET cursor = excluded.cursor",
      .text(reader), .text(cursor))
  }

  /// Writes what has changed in the tracker, inside the caller's transaction.
  func save(_ changes: Set<LifecycleTracker.Key>, of tracker: LifecycleTracker) throws(SQLiteError) {
    for key in changes {
      let name: [SQLiteValue] = [.text(key.machine), .text(key.manager.ledgerName), .text(key.unit)]
      guard let state = tracker.units[key] else {
        try database.query("DELETE FROM units WHERE machine = ? AND manager = ? AND unit = ?", name)
        continue
      }
      try database.query(
        "INSERT OR REPLACE INTO units VALUES(?, ?, ?, ?, ?, ?, ?)",
        name + [
          .text(state.ledgerText), SQLiteValue(state.pending?.json.text), SQLiteValue(state.pendingFailure?.json.text),
          SQLiteValue(state.pending?.monotonic),
        ])
    }
    for machine in Set(changes.map(\.machine)) {
      guard let boot = tracker.boots[machine] else { continue }
      try database.query("INSERT OR REPLACE INTO boots VALUES(?, ?)", .text(machine), .text(boot))
    }
  }

  /// Forgets what the tracker knew, for a start elsewhere in the journal.
  package func forgetTracker() throws(SQLiteError) {
    try database.query("DELETE FROM units")
    try database.query("DELETE FROM boots")
  }
}

extension Manager {
  var ledgerName: String {
    switch self {
    case .system: "system"
    case .user(let uid): "user-\(uid)"
    }
  }

  init?(ledgerName: String) {
    if ledgerName == "system" {
      self = .system
    } else if ledgerName.hasPrefix("user-"), let uid = UInt32(ledgerName.dropFirst(5)) {
      self = .user(uid)
    } else {
      return nil
    }
  }
}

extension UnitState {
  /// The state as words `key=value`; every value is a number, an id or a word of systemd's, so that none holds a space.
  var ledgerText: String {
    var words = ["phase=\(phase.rawValue)", "seen=\(lastSeen)"]
    func add(_ key: String, _ value: String?) {
      // What a unit could choose freely has no place here; an empty value would read as absent.
      if let value, !value.isEmpty, !value.contains(where: \.isWhitespace) { words.append("\(key)=\(value)") }
    }
    add("invocation", invocation)
    add("stop-job", stopJob.map(String.init))
    add("restart-job", restartJob.map(String.init))
    add("n-restarts", nRestarts.map(String.init))
    add("exit-code", exitCode)
    add("exit-status", exitStatus)
    for (name, path) in UnitState.flags where self[keyPath: path] { words.append(name) }
    return words.joined(separator: " ")
  }

  init?(ledgerText: String) {
    self.init()
    for word in ledgerText.split(separator: " ") {
      let parts = word.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else {
        guard let flag = UnitState.flags.first(where: { $0.name == word }) else { continue }
        self[keyPath: flag.path] = true
        continue
      }
      let value = String(parts[1])
      switch parts[0] {
      case "phase":
        guard let phase = Phase(rawValue: value) else { return nil }
        self.phase = phase
      case "seen": lastSeen = UInt64(value) ?? 0
      case "invocation": invocation = value
      case "stop-job": stopJob = UInt32(value)
      case "restart-job": restartJob = UInt32(value)
      case "n-restarts": nRestarts = UInt32(value)
      case "exit-code": exitCode = value
      case "exit-status": exitStatus = value
      default: continue
      }
    }
  }

  private static var flags: [(name: String, path: WritableKeyPath<UnitState, Bool>)] {
    [
      ("stopping", \.isStopping), ("restarting", \.isRestarting), ("owes-restart", \.owesRestart),
      ("went-down", \.wentDown), ("auto-restart", \.isAutoRestart), ("failed-told", \.failedTold),
      ("succeeded-while-starting", \.succeededWhileStarting), ("skipped-told", \.skippedTold),
      ("start-limit-hit", \.startLimitHit), ("gave-up-told", \.gaveUpTold),
    ]
  }
}
