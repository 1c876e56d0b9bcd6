internal import JournalHookCore
internal import Systemd

/// Events in the ledger are the contract's JSON; SQLite takes them apart again.
extension Ledger {
  private static let paths = [
    "id", "event", "unit", "result", "restart", "auto", "invocation", "job.id", "job.type", "job.result", "exit_code",
    "exit_status", "n_restarts", "message", "boot", "machine", "hostname", "source", "cursor",
  ]

  static let eventColumnCount = paths.count

  /// SQL for the columns that `LifecycleEvent(row:…)` reads, out of a column with JSON.
  static func eventColumns(_ column: String) -> String {
    paths.map { "json_extract(\(column), '$.\($0)')" }.joined(separator: ", ")
  }
}

extension LifecycleEvent {
  /// Reads an event from the columns of `Ledger.eventColumns`; nil when there is none.
  init?(row: ArraySlice<SQLiteValue>, realtime: UInt64 = 0, monotonic: UInt64, manager: Manager = .system) {
    let row = Array(row)
    guard let id = row[0].text, let kind = row[1].text.flatMap(Kind.init), let unit = row[2].text,
      let boot = row[14].text, let machine = row[15].text
    else { return nil }
    let job = Job(id: row[7].integer.map { UInt32(clamping: $0) }, type: row[8].text, result: row[9].text)
    self.init(
      id: id, kind: kind, unit: unit, result: row[3].text, restart: row[4].integer.map { $0 != 0 },
      auto: row[5].integer.map { $0 != 0 }, invocation: row[6].text, job: job == Job() ? nil : job,
      exitCode: row[10].text, exitStatus: row[11].text, nRestarts: row[12].integer.map { UInt32(clamping: $0) },
      message: row[13].text, realtime: realtime, monotonic: monotonic, boot: boot, machine: machine,
      hostname: row[16].text, manager: manager, source: row[17].text.flatMap(Source.init) ?? .journal,
      cursor: row[18].text)
  }
}
