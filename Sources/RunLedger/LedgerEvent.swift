internal import Lifecycle

/// The ledger stores an event as the JSON that `events -o json` prints, and its two times as numbers in columns of their own. SQLite
/// extracts the other fields from the JSON.
extension Ledger {
  private static let paths = [
    "id", "event", "unit", "result", "restart_job", "auto_restart", "invocation", "job.id", "job.type", "job.result",
    "exit_code",
    "exit_status", "n_restarts", "message", "boot", "machine", "hostname", "source", "cursor",
  ]

  /// SQL for the columns that `LifecycleEvent(row:)` reads.
  static let eventColumns =
    (["event_time", "event_monotonic", "manager"] + paths.map { "json_extract(event_json, '$.\($0)')" })
    .joined(separator: ", ")
}

extension LifecycleEvent {
  /// Reads an event from `Ledger.eventColumns`.
  init?(row: ArraySlice<SQLiteValue>) {
    var row = row
    func next() -> SQLiteValue { row.popFirst() ?? .null }
    func number() -> UInt32? { next().integer.map { UInt32(clamping: $0) } }
    func flag() -> Bool? { next().integer.map { $0 != 0 } }
    guard let realtime = next().integer, let monotonic = next().integer,
      let manager = next().text.flatMap(Manager.init(ledgerName:)), let id = next().text,
      let kind = next().text.flatMap(Kind.init), let unit = next().text
    else { return nil }
    self.init(
      id: id, kind: kind, unit: unit, result: next().text, restartJob: flag(), autoRestart: flag(),
      invocation: next().text,
      job: Job(id: number(), type: next().text, result: next().text), exitCode: next().text, exitStatus: next().text,
      nRestarts: number(), message: next().text, realtime: UInt64(clamping: realtime),
      monotonic: UInt64(clamping: monotonic), boot: next().text ?? "", machine: next().text ?? "",
      hostname: next().text, manager: manager, source: next().text.flatMap(Source.init) ?? .journal,
      cursor: next().text)
    if job == Job() { job = nil }
  }
}
