internal import CSystemd

/// The timers of an event loop, and the system's clocks.
///
/// All timers share two sources of the loop, which are made at the start. So making a timer does not fail when memory or
/// descriptors run out.
package final class LoopTimers: Timers {
  private var queue = TimerQueue()
  private var source: EventSource?
  private var deferred: EventSource?
  private var soonCount: UInt64 = 0

  /// - Throws: `SystemError` if the loop takes no more sources.
  package init(_ loop: EventLoop) throws(SystemError) {
    source = try loop.schedule(at: .max) { [unowned self] in callDue() }
    deferred = try loop.schedule { [unowned self] in callDeferred() }
    deferred?.disable()
  }

  package var monotonic: UInt64 { Clock.monotonic() }
  package var realtime: UInt64 { Clock.now().microseconds }

  package func call(at time: UInt64, accuracy: UInt64, _ action: @escaping () -> Void) -> Timer {
    let timer = queue.makeTimer(
      at: time, accuracy: accuracy, onCancel: { [weak self] timer in self?.queue.remove(timer) }, action)
    if queue.next === timer { arm() }
    return timer
  }

  package func callSoon(_ action: @escaping () -> Void) -> Timer {
    // sd-event calls every source that is ready before a deferred source that was enabled meanwhile.
    soonCount += 1
    let timer = Timer(
      time: 0, accuracy: 0, number: soonCount,
      onCancel: { [weak self] timer in self?.forget(timer.number) }, action)
    soonTimers.append(Soon(number: soonCount, timer: timer))
    if deferred?.enableOnce() != true { source?.rearm(at: 0, accuracy: 1) }
    return timer
  }

  private struct Soon {
    let number: UInt64
    unowned let timer: Timer
  }
  private var soonTimers: [Soon] = []

  private func forget(_ number: UInt64) { soonTimers.removeAll { $0.number == number } }

  private func callDeferred() {
    let newest = soonCount
    while let first = soonTimers.first, first.number <= newest {
      soonTimers.removeFirst()
      first.timer.fire()
    }
    if !soonTimers.isEmpty, deferred?.enableOnce() != true { source?.rearm(at: 0, accuracy: 1) }
  }

  private func callDue() {
    let newest = queue.newest
    let now = monotonic
    // Timers that are made meanwhile wait for the next round, so that descriptors and signals get their turn.
    while let timer = queue.takeDue(now: now, upTo: newest) { timer.fire() }
    if !soonTimers.isEmpty { callDeferred() }
    arm()
  }

  private func arm() {
    guard let next = queue.next else { return }
    source?.rearm(at: next.time, accuracy: max(1, next.accuracy))
  }
}
