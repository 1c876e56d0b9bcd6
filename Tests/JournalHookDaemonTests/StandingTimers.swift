import Systemd

/// Clocks that stand still until a test moves them, and the calls that become due then.
final class StandingTimers: Timers {
  private(set) var monotonic: UInt64
  private(set) var realtime: UInt64
  private var queue = TimerQueue()

  init(monotonic: UInt64 = 1_000_000_000, realtime: UInt64 = 1_700_000_000_000_000) {
    self.monotonic = monotonic
    self.realtime = realtime
  }

  func call(at time: UInt64, accuracy: UInt64, _ action: @escaping () -> Void) -> Timer {
    queue.makeTimer(at: time, accuracy: accuracy, onCancel: { [weak self] in self?.queue.remove($0) }, action)
  }

  func callSoon(_ action: @escaping () -> Void) -> Timer { call(at: monotonic, accuracy: 0, action) }

  /// Moves both clocks, and makes the calls that are due on the way, each at its time. Without a delay: those that are due now.
  ///
  /// - Parameter delay: in microseconds.
  func advance(by delay: UInt64 = 0) {
    let end = monotonic + delay
    // More calls than any test needs: two that make each other due at once would never end.
    for _ in 0..<10_000 {
      guard let next = queue.next, next.time <= end else { break }
      move(to: next.time)
      queue.takeDue(now: monotonic)?.fire()
    }
    move(to: end)
  }

  private func move(to time: UInt64) {
    guard time > monotonic else { return }
    realtime += time - monotonic
    monotonic = time
  }
}
