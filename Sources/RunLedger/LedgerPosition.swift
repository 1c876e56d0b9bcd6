package import Lifecycle
package import Systemd

/// How far the journal was read, and the state of the tracker at that place.
extension Ledger {
  /// A place in the journal.
  package enum Position: Sendable, Equatable {
    /// After the entry that was processed last.
    case after(JournalCursor)
    /// From a time on, in microseconds since 1970: no entry was processed yet.
    case from(UInt64)
  }

  /// How far the reader with a name (`local`, a machine id, …) has read; nil if it has never read.
  package func position(of reader: String) throws(SQLiteError) -> Position? {
    guard let text = try database.query("SELECT cursor FROM cursors WHERE reader = ?", .text(reader)).first?.first?.text
    else { return nil }
    if text.hasPrefix("@"), let time = UInt64(text.dropFirst()) { return .from(time) }
    return JournalCursor(text).map(Position.after)
  }

  /// Where a reader starts.
  package struct Beginning: Sendable {
    package var reader: String
    package var position: Position
    /// The machine whose tracked state is removed, because it belongs to another place in the journal; nil for none.
    package var forgottenMachine: String?

    package init(reader: String, at position: Position, forgetting machine: String? = nil) {
      self.reader = reader
      self.position = position
      forgottenMachine = machine
    }
  }

  /// Records where all readers start. It is one transaction: after a crash in between, some readers would start at another
  /// place.
  package func begin(_ beginnings: [Beginning]) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      for beginning in beginnings {
        if let machine = beginning.forgottenMachine {
          for table in ["units", "unit_events", "boots"] {
            try database.query("DELETE FROM \(table) WHERE machine = ?", .text(machine))
          }
        }
        let cursor =
          switch beginning.position {
          case .after(let cursor): cursor.description
          case .from(let time): "@\(time)"
          }
        try save(cursor: cursor, of: beginning.reader)
      }
    }
  }

  /// The tracker of a machine, as it was at the cursor.
  package func tracker(of machine: String) throws(SQLiteError) -> LifecycleTracker {
    var units: [LifecycleTracker.Key: UnitState] = [:]
    let name = SQLiteValue.text(machine)
    for row in try database.query("SELECT machine, manager, unit, state FROM units WHERE machine = ?", name) {
      guard let key = LifecycleTracker.Key(row: row), let state = UnitState(ledgerText: row[3].text ?? "") else {
        continue
      }
      units[key] = state
    }
    for row in try database.query(
      "SELECT machine, manager, unit, role, \(Ledger.eventColumns) FROM unit_events WHERE machine = ?", name)
    {
      guard let key = LifecycleTracker.Key(row: row), let event = LifecycleEvent(row: row[4...]) else { continue }
      switch row[3].text {
      case "pending": units[key]?.pending = event
      case "pending-failure": units[key]?.pendingFailure = event
      case "restart": units[key]?.restart.unanswered = event
      default: continue
      }
    }
    let boot = try database.query("SELECT boot FROM boots WHERE machine = ?", name).first?.first?.text
    return LifecycleTracker(units: units, boots: boot.map { [machine: $0] } ?? [:])
  }

  /// Writes the cursor. To be called in a transaction.
  func save(cursor: String, of reader: String) throws(SQLiteError) {
    try database.query(
      "INSERT INTO cursors VALUES(?, ?) ON CONFLICT(reader) DO UPDATE SET cursor = excluded.cursor",
      .text(reader), .text(cursor))
  }

  /// Writes the units whose tracked state has changed. To be called in a transaction.
  func save(_ changes: Set<LifecycleTracker.Key>, of tracker: LifecycleTracker) throws(SQLiteError) {
    for key in changes {
      let name: [SQLiteValue] = [.text(key.machine), .text(key.manager.ledgerName), .text(key.unit)]
      try database.query("DELETE FROM unit_events WHERE machine = ? AND manager = ? AND unit = ?", name)
      guard let state = tracker.units[key] else {
        try database.query("DELETE FROM units WHERE machine = ? AND manager = ? AND unit = ?", name)
        continue
      }
      try database.query("INSERT OR REPLACE INTO units VALUES(?, ?, ?, ?)", name + [.text(state.ledgerText)])
      let open = [
        ("pending", state.pending), ("pending-failure", state.pendingFailure), ("restart", state.restart.unanswered),
      ]
      for case (let role, let event?) in open {
        try database.query(
          "INSERT INTO unit_events VALUES(?, ?, ?, ?, ?, ?, ?)",
          name + [
            .text(role), .text(event.json.text), SQLiteValue(event.realtime), SQLiteValue(event.monotonic),
          ])
      }
    }
    for machine in Set(changes.map(\.machine)) {
      guard let boot = tracker.boots[machine] else { continue }
      try database.query("INSERT OR REPLACE INTO boots VALUES(?, ?)", .text(machine), .text(boot))
    }
  }
}

extension LifecycleTracker.Key {
  /// Reads a key from the columns machine, manager, unit.
  fileprivate init?(row: [SQLiteValue]) {
    guard let machine = row[0].text, let manager = row[1].text.flatMap(Manager.init(ledgerName:)),
      let unit = row[2].text
    else { return nil }
    self.init(machine: machine, manager: manager, unit: unit)
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
