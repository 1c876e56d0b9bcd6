internal import Systemd

/// Events that came of the bus or of a comparison, before the journal had their entries: journald was held up for more than a
/// second.
extension UnitState {
  /// More invocations than a unit has in that time; of those that are never logged (`LogLevelMax=`) the oldest are
  /// forgotten.
  private static let capacity = 32

  /// Takes note of an invocation that the journal has yet to show, and of the end of the one before it.
  mutating func noteEarly(_ new: String) {
    if let invocation, !earlyInvocations.contains(invocation) { earlyInvocations.append(invocation) }
    earlyInvocations.append(new)
    earlyInvocations.removeFirst(max(0, earlyInvocations.count - UnitState.capacity))
  }

  /// Whether the events of a journal entry were emitted already.
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
