internal import Hooks
internal import Lifecycle
internal import Systemd

private let units = [
  "a.service", "b.service", "t@i.service", "t@\\x24\\x28.service", "s.socket", "m.mount", "user@1.service",
]
private let messageIDs = [
  "7d4958e842da4a758f6c1cdc7b36dcc5", "39f53479d3a045ac8e11786248231fbf", "be02cf6855d2428ba40df7e9d022f03d",
  "de5b426a63be47a7b6ac3eaac82e2f6f", "9d1aaa27d60140bd96365438aad20286", "d34d037fff1847e6ae669a370e694725",
  "7b05ebc668384222baa8881179cfda54", "5eb03494b6584870a536b337290809b3", "7ad2d189f7e94e70a38c781354912448",
  "d9b373ed55a64feb8242e02dbe79a49c", "98e322203f7a4ed290d09fe03c09fe15", "0e4284a0caca4bfc81c0bb6786972673",
  "fe6faa94e7774663a0da52717891d8ef", "d989611b15e44c9dbf31e3c81256e4ed",
]
private let texts = [
  "Started A.", "Stopped A.", "a.service: Main process exited, code=exited, status=1/FAILURE",
  "a.service: Failed with result 'exit-code'.", "a.service: Deactivated successfully.",
  "a.service: Start request repeated too quickly.", "Unit a.service entered failed state.",
  "a.service: Scheduled restart job, restart counter is at 1.", "Finished A.",
]
private let fields: [(String, [String])] = [
  ("MESSAGE_ID", messageIDs), ("MESSAGE", texts), ("UNIT", units), ("USER_UNIT", units),
  ("INVOCATION_ID", ["1", "2", ""]), ("JOB_ID", ["1", "2", "4294967296"]),
  ("JOB_TYPE", ["start", "stop", "restart", "reload", "try-restart"]),
  ("JOB_RESULT", ["done", "canceled", "failed", "dependency", "skipped"]), ("RESULT", ["done", "failed"]),
  ("UNIT_RESULT", ["exit-code", "signal", "start-limit-hit"]), ("EXIT_CODE", ["exited", "killed"]),
  ("EXIT_STATUS", ["0", "1", "TERM"]), ("N_RESTARTS", ["1", "-1"]), ("PRIORITY", ["6", "7"]),
  ("COMMAND", ["ExecStart"]),
]

/// One entry: either a manager's, with whatever it says, or one of others.
private func entry(_ input: inout FuzzInput, at time: inout UInt64) -> JournalEntry {
  time &+= input.number() >> 40
  let isManager = input.number(below: 8) != 0
  var list: [JournalEntry.Field] = []
  func add(_ name: String, _ value: String) { list.append(.init(name: name, bytes: Array(value.utf8))) }
  add("_PID", isManager ? "1" : input.choice(["2", "1", "01"]))
  add("_UID", isManager ? "0" : input.choice(["0", "1000"]))
  add("_TRANSPORT", isManager ? "journal" : input.choice(["syslog", "stdout"]))
  add("_MACHINE_ID", "m")
  // The three that nearly every message has, then whatever else.
  add("MESSAGE_ID", input.choice(messageIDs))
  add("UNIT", input.choice(units))
  add("INVOCATION_ID", input.choice(["1", "2"]))
  for _ in 0..<input.number(below: 8) {
    let (name, known) = fields[input.number(below: fields.count)]
    add(name, input.choice(known))
  }
  return JournalEntry(
    fields: list, cursor: "c\(time)", realtime: 1_700_000_000_000_000 &+ time, monotonic: time,
    boot: input.number(below: 16) == 1 ? "b2" : "b1")
}

func fuzzEntry(_ input: FuzzInput) {
  var input = input
  var tracker = LifecycleTracker()
  var time: UInt64 = 1_000_000
  let decoder = EntryDecoder(trust: .localSystem(machine: "m"))
  let users = EntryDecoder(trust: .user(.init(uid: 1000, machine: "m")))
  var events: [LifecycleEvent] = []
  for _ in 0..<64 where !input.isEmpty {
    let entry = entry(&input, at: &time)
    _ = users.decode(entry)
    guard let said = decoder.decode(entry) else { continue }
    expect(entry["_PID"] == "1" && entry["_UID"] == "0" && entry["_TRANSPORT"] == "journal", "believed: \(entry)")
    expect(UnitName(said.unit).isValid, "a unit that cannot be: \(said.unit)")
    expect(entry.count(of: "UNIT") == 1 && entry.count(of: "MESSAGE_ID") == 1, "a repeated field was believed")
    events += tracker.process(said)
    events += tracker.flush(until: time)
  }
  events += tracker.flushAll()
  for event in events {
    let json = event.json.bytes()
    expect(json.first == UInt8(ascii: "{") && json.last == UInt8(ascii: "}"), "JSON that is none")
    expect(!json.contains { $0 < 0x20 }, "JSON of more than one line")
  }
}
