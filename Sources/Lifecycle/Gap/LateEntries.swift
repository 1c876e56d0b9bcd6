internal import Systemd

/// What the bus or a comparison has told, the journal may tell late: journald was held up for more than a second.
extension UnitState {
  /// More invocations than a unit has in that time; of those that the journal never tells (`LogLevelMax=`) the oldest are
  /// forgotten.
  private static let capacity = 32

  /// Takes note of an invocation of which the journal has yet to tell, and of the end of the one before it.
  mutating func noteEarly(_ new: String) {
    if let invocation, !earlyInvocations.contains(invocation) { earlyInvocations.append(invocation) }
    earlyInvocations.append(new)
    earlyInvocations.removeFirst(max(0, earlyInvocations.count - UnitState.capacity))
  }

  /// Whether an entry of the journal tells what was told already.
  mutating func wasEmittedEarly(_ entry: ManagerEntry) -> Bool {
    guard let invocation = entry.invocation else { return false }
    if let place = earlyInvocations.firstIndex(of: invocation) {
      earlyInvocations.removeSubrange(..<place)
      if invocation != self.invocation { return true }
    }
    guard self[.endEmitted], invocation == self.invocation else { return false }
    switch entry.kind {
    case .starting, .started, .stopping, .stopped, .success, .reloading, .reloaded, .mainProcessExit, .failureHint:
      return true
    case .failureResult: return entry.result != "start-limit-hit"
    case .startFailed, .restartScheduled, .skipped, .outOfMemory, .startLimitHit: return false
    }
  }
}
