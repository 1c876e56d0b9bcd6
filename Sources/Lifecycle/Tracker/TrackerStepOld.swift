internal import Systemd

/// What managers up to systemd 234 say in another way.
extension TrackerStep {
  /// Up to systemd 234 a restart's UNIT_STOPPED is that of a stop, word for word, and nothing links it to what follows. A unit
  /// that comes up again at once, before `LifecycleTracker.patience` is over, counts as restarted: with a stop and a start
  /// in quick succession that is wrong about the cause, but both ends agree.
  mutating func awaitStart() {
    guard state.isStopWaiting else {
      // It was down: a start was stopped, or an automatic restart goes on.
      state.phase = .down
      return
    }
    endRestart()
    state.pending?.take(from: entry)
    state.awaits.insert(.start)
  }
}
