internal import Systemd

/// What else is in a journal, and means nothing.
extension SimulatedManager {
  func makeNoise(using numbers: inout SeededNumbers) {
    let unit = numbers.pick(units)
    let kind = numbers.pick(MessageKind.allCases)
    let lie =
      unit.words.fields(of: kind, about: unit.description, version: machine.version) + unit.words.invocation
      + [.init("JOB_ID", "7")]
    switch numbers.below(8) {
    case 0: sayText("Reloading.")
    case 1: about(unit, "\(unit.name): Consumed 1.234s CPU time.", id: "ae8f7b866b0347b9af31fe1c80b127c0")
    case 2: about(unit, "\(unit.name): Got notification message from PID 4711, but reception is disabled.", id: nil)
    case 3: foreign([.init("MESSAGE", "Something happened.")], pid: "4711", uid: "33")
    // People who would like to be the manager.
    case 4: foreign(lie, pid: "4711", uid: "1000")
    case 5: foreign(lie, pid: "815", uid: "0")
    case 6: foreign(lie, pid: "1", uid: "1000")
    default: foreign(lie, pid: "1", uid: "0", machine: "0123456789abcdef0123456789abcdef")
    }
  }

  private func about(_ unit: SimulatedUnit, _ text: String, id: String?) {
    var fields: [JournalEntry.Field] = [
      .init("PRIORITY", "6"), .init("SYSLOG_IDENTIFIER", "systemd"), .init("UNIT", unit.name), .init("MESSAGE", text),
    ]
    if let id { fields.append(.init("MESSAGE_ID", id)) }
    send(fields + unit.words.invocation)
  }

  private func foreign(_ fields: [JournalEntry.Field], pid: String, uid: String, machine other: String? = nil) {
    let moment = tick()
    let trusted: [JournalEntry.Field] = [
      .init("_TRANSPORT", "journal"), .init("_PID", pid), .init("_UID", uid), .init("_COMM", "systemd"),
      .init("_MACHINE_ID", other ?? machine.id), .init("_BOOT_ID", boot.id), .init("_HOSTNAME", machine.hostname),
    ]
    deliver(trusted + fields, moment)
  }
}
