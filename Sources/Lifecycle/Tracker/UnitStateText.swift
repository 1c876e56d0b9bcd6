internal import Systemd

/// How the ledger keeps a unit's state. A field that is added to `UnitState` needs its word here.
extension UnitState {
  /// The state as words `key=value`, without the events that it holds; every value is a number, an id or a word of systemd's, so that none holds a space.
  package var ledgerText: String {
    var words = ["phase=\(phase.rawValue)", "seen=\(lastSeen)"]
    if lastUp > 0 { words.append("up=\(lastUp)") }
    if lastDown > 0 { words.append("down=\(lastDown)") }
    func add(_ key: String, _ value: String?) {
      // What a unit could choose freely has no place here; an empty value would read as absent.
      if let value, !value.isEmpty, !value.contains(where: \.isWhitespace) { words.append("\(key)=\(value)") }
    }
    add("invocation", invocation)
    add("previous", previousInvocations.joined(separator: ","))
    add("early", earlyInvocations.joined(separator: ","))
    add("stop-job", stop?.id.map(String.init))
    add("restart-job", restart.job.map(String.init))
    add("n-restarts", restart.count.map(String.init))
    add("likely-result", likelyResult)
    add("exit-code", exit?.code)
    add("exit-status", exit?.status)
    if stop != nil { words.append("stopping") }
    if restart.isOpen { words.append("restarting") }
    if restart.hasGoneDown { words.append("went-down") }
    if restart.isAutomatic { words.append("auto-restart") }
    for (name, mark) in UnitState.markNames where marks.contains(mark) { words.append(name) }
    for (name, what) in UnitState.awaitedNames where awaits.contains(what) { words.append(name) }
    return words.joined(separator: " ")
  }

  package init?(ledgerText: String) {
    self.init()
    for word in ledgerText.split(separator: " ") {
      let parts = word.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else {
        take(flag: word)
        continue
      }
      let value = String(parts[1])
      switch parts[0] {
      case "phase":
        guard let phase = Phase(rawValue: value) else { return nil }
        self.phase = phase
      case "seen": lastSeen = UInt64(value) ?? 0
      case "up": lastUp = UInt64(value) ?? 0
      case "down": lastDown = UInt64(value) ?? 0
      case "invocation": invocation = value
      case "previous": previousInvocations = value.split(separator: ",").map(String.init)
      case "early": earlyInvocations = value.split(separator: ",").map(String.init)
      case "stop-job": stop = StopJob(id: UInt32(value))
      case "restart-job": restart.job = UInt32(value)
      case "n-restarts": restart.count = UInt32(value)
      case "likely-result": likelyResult = value
      case "exit-code": exit = Exit(code: value, status: exit?.status)
      case "exit-status": exit = Exit(code: exit?.code, status: value)
      default: continue
      }
    }
  }

  private mutating func take(flag: Substring) {
    switch flag {
    case "stopping": stop = stop ?? StopJob()
    case "restarting": restart.isOpen = true
    case "went-down": restart.hasGoneDown = true
    case "auto-restart": restart.isAutomatic = true
    default:
      for (name, mark) in UnitState.markNames where flag == name { marks.insert(mark) }
      for (name, what) in UnitState.awaitedNames where flag == name { awaits.insert(what) }
    }
  }

  private static let markNames: [(name: String, mark: Marks)] = [
    ("failed-told", .failureEmitted), ("skipped-told", .skipEmitted), ("start-limit-hit", .gaveUpEmitted),
    ("end-told", .endEmitted), ("succeeded-while-starting", .succeededWhileStarting),
  ]
  private static let awaitedNames: [(name: String, what: Awaited)] = [
    ("awaits-start", .start), ("awaits-stopping", .stopping),
  ]
}
