internal import Systemd

/// Ends the runs under way where no more can be written down, and waits until nothing is left of them.
final class AwaitedEnd {
  private let executor: RunExecutor
  private let timers: any Timers
  private let deadline: UInt64
  private let done: () -> Void
  private var timer: Timer?

  /// How often to look, in microseconds.
  private static let interval: UInt64 = 50_000

  /// - Parameters:
  ///   - limit: how long to wait at most, in microseconds.
  ///   - done: called once.
  init(of executor: RunExecutor, within limit: UInt64, timers: any Timers, then done: @escaping () -> Void) {
    self.executor = executor
    self.timers = timers
    self.done = done
    deadline = timers.monotonic + limit
    executor.drain()
    executor.interruptAll()
    look()
  }

  private func look() {
    if executor.isEmpty || timers.monotonic >= deadline { return done() }
    timer = timers.call(in: AwaitedEnd.interval) { [unowned self] in look() }
  }
}
