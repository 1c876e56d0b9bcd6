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
    add("stop-job", stopJob.map(String.init))
    add("restart-job", restartJob.map(String.init))
    add("n-restarts", nRestarts.map(String.init))
    add("likely-result", likelyResult)
    add("exit-code", exitCode)
    add("exit-status", exitStatus)
    for (name, path) in UnitState.flags where self[keyPath: path] { words.append(name) }
    return words.joined(separator: " ")
  }

  package init?(ledgerText: String) {
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
      case "up": lastUp = UInt64(value) ?? 0
      case "down": lastDown = UInt64(value) ?? 0
      case "invocation": invocation = value
      case "previous": previousInvocations = value.split(separator: ",").map(String.init)
      case "early": earlyInvocations = value.split(separator: ",").map(String.init)
      case "stop-job": stopJob = UInt32(value)
      case "restart-job": restartJob = UInt32(value)
      case "n-restarts": nRestarts = UInt32(value)
      case "likely-result": likelyResult = value
      case "exit-code": exitCode = value
      case "exit-status": exitStatus = value
      default: continue
      }
    }
  }

  private static var flags: [(name: String, path: WritableKeyPath<UnitState, Bool>)] {
    [
      ("stopping", \.isStopping), ("restarting", \.isRestarting), ("went-down", \.wentDown),
      ("auto-restart", \.isAutoRestart), ("failed-told", \.isFailureEmitted),
      ("succeeded-while-starting", \.succeededWhileStarting), ("skipped-told", \.isSkipEmitted),
      ("start-limit-hit", \.startLimitHit), ("awaits-start", \.awaitsStart), ("awaits-stopping", \.awaitsStopping),
      ("end-told", \.isEndEmitted),
    ]
  }
}
