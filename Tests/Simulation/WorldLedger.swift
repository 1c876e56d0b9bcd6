internal import CSimulatedDisk
internal import RunLedger
internal import SimulatedSystem
internal import Systemd

/// A run, as the ledger has it in the end.
struct LedgerRun {
  var id: Int64
  var event: SeenEvent
  var hook: String
  var state: String
  /// The states of its attempts.
  var attempts: [Int: String] = [:]
  var reason: String
  /// The time of its event, in microseconds since boot.
  var monotonic = 0

  var key: RunKey { RunKey(event: event.id, hook: hook) }
}

/// What makes a run the same, whatever its number.
struct RunKey: Hashable {
  var event: String
  var hook: String
}

/// What is in the ledger, read by nobody's process.
extension World {
  func query(_ sql: String, in directory: String = World.stateDirectory) -> [[SQLiteValue]] {
    simdisk_set_owner(disk.handle, 0)
    guard let database = try? SQLiteDatabase(path: "\(directory)/journalhook.db", vfs: disk.name) else { return [] }
    return (try? database.query(sql)) ?? []
  }

  var openRuns: Int { query("SELECT count(*) FROM runs WHERE open").first?.first?.number ?? 0 }

  /// Says of an entry whether `follow` may not have read it.
  func unread() -> (JournalEntry) -> Bool {
    guard let cursor = query("SELECT cursor FROM cursors").first?.first?.text.flatMap({ JournalCursor($0) }) else {
      return { _ in true }
    }
    return { $0.boot == cursor.boot ? $0.monotonic > cursor.monotonic : $0.realtime > cursor.realtime }
  }

  /// The power was cut: what the ledger still has as finished must not be run again.
  func noteFinished() {
    for row in query("SELECT event_id, hook FROM runs WHERE NOT open") {
      let key = RunKey(event: row[0].text ?? "", hook: row[1].text ?? "")
      finished[key] = finished[key] ?? hooks.epoch
    }
  }

  func ledgerRuns(in directory: String = World.stateDirectory) -> [LedgerRun] {
    var runs: [LedgerRun] = []
    var places: [Int: Int] = [:]
    let columns = ["invocation", "restart_job", "auto_restart", "source", "boot"]
      .map { "json_extract(event_json, '$.\($0)')" }.joined(separator: ", ")
    for row in query(
      "SELECT id, event_id, hook, state, reason, unit, event, \(columns), event_monotonic FROM runs ORDER BY id",
      in: directory)
    {
      func text(_ column: Int) -> String { row[column].text ?? "" }
      let event = SeenEvent(
        id: text(1), kind: text(6), unit: text(5), invocation: row[7].text, boot: text(11),
        restartJob: row[8].isNull ? nil : row[8].number != 0, autoRestart: row[9].isNull ? nil : row[9].number != 0,
        source: text(10))
      places[row[0].number] = runs.count
      runs.append(
        LedgerRun(
          id: Int64(row[0].number), event: event, hook: text(2), state: text(3), reason: text(4),
          monotonic: row[12].number))
    }
    for row in query("SELECT run, attempt, state FROM attempts", in: directory) {
      if let place = places[row[0].number] { runs[place].attempts[row[1].number] = row[2].text ?? "" }
    }
    return runs
  }
}

extension SQLiteValue {
  fileprivate var number: Int { integer.map { Int($0) } ?? 0 }
  fileprivate var isNull: Bool { self == .null }
}
