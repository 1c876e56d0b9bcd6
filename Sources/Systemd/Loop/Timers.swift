/// The clocks.
///
/// Whatever decides by time is given them and does not reach for the kernel's itself. So a test, or a simulation, can give it a
/// time of its own.
package protocol Clocks {
  /// CLOCK_MONOTONIC: microseconds since the machine's boot.
  var monotonic: UInt64 { get }
  /// CLOCK_REALTIME: microseconds since 1970.
  var realtime: UInt64 { get }
}

/// The kernel's clocks.
package struct SystemClocks: Clocks {
  package init() {}
  package var monotonic: UInt64 { Clock.monotonic() }
  package var realtime: UInt64 { Clock.now().microseconds }
}

/// The clocks, and calls at a later time.
package protocol Timers: Clocks, AnyObject {
  /// Calls once when CLOCK_MONOTONIC has reached a time, at most `accuracy` microseconds later.
  ///
  /// The call is made only if the returned object still exists then, and was not canceled.
  func call(at time: UInt64, accuracy: UInt64, _ action: @escaping () -> Void) -> Timer

  /// Calls once in the next round of the loop, after all sources that are ready now.
  func callSoon(_ action: @escaping () -> Void) -> Timer
}

extension Timers {
  /// Calls once after `delay` microseconds, at most `accuracy` microseconds later.
  package func call(in delay: UInt64, accuracy: UInt64 = 1000, _ action: @escaping () -> Void) -> Timer {
    let (time, isOver) = monotonic.addingReportingOverflow(delay)
    return call(at: isOver ? .max : time, accuracy: accuracy, action)
  }
}

/// A call that is due later. The end of this object's life cancels the call.
package final class Timer {
  /// When the call is due, in microseconds of CLOCK_MONOTONIC.
  package let time: UInt64
  /// How much later the call may be made, in microseconds.
  package let accuracy: UInt64
  /// The order among timers of the same time: the lower number comes first.
  let number: UInt64
  private var action: (() -> Void)?
  private let onCancel: (Timer) -> Void

  init(
    time: UInt64, accuracy: UInt64, number: UInt64, onCancel: @escaping (Timer) -> Void, _ action: @escaping () -> Void
  ) {
    self.time = time
    self.accuracy = accuracy
    self.number = number
    self.onCancel = onCancel
    self.action = action
  }

  deinit { cancel() }

  /// Cancels the call. This may be done within the call itself.
  package func cancel() {
    if action != nil { onCancel(self) }
    action = nil
  }

  /// Makes the call, once.
  package func fire() {
    guard let action else { return }
    self.action = nil
    action()
  }
}

/// Timers in the order in which they are due.
///
/// The queue does not own its timers: a timer whose life ends removes itself.
package struct TimerQueue {
  private struct Entry {
    let time: UInt64
    let number: UInt64
    unowned let timer: Timer
  }

  /// In descending order of time: the timer that is due next is the last.
  private var entries: [Entry] = []
  private var count: UInt64 = 0

  package init() {}

  /// Makes a timer and inserts it into the queue.
  ///
  /// - Parameter onCancel: called when the timer is canceled; it has to call `remove`.
  package mutating func makeTimer(
    at time: UInt64, accuracy: UInt64, onCancel: @escaping (Timer) -> Void, _ action: @escaping () -> Void
  ) -> Timer {
    count += 1
    let timer = Timer(time: time, accuracy: accuracy, number: count, onCancel: onCancel, action)
    entries.insert(Entry(time: time, number: count, timer: timer), at: place(time, count))
    return timer
  }

  /// Removes a timer, so that it is not called.
  package mutating func remove(_ timer: Timer) {
    let place = place(timer.time, timer.number)
    if place < entries.count, entries[place].number == timer.number { entries.remove(at: place) }
  }

  /// The timer that is due next.
  package var next: Timer? { entries.last?.timer }

  /// The number of the newest timer. Timers that are made later have higher numbers.
  package var newest: UInt64 { count }

  /// Removes and returns the next timer that is due, of those whose number is at most `newest`; nil if there is none.
  package mutating func takeDue(now: UInt64, upTo newest: UInt64 = .max) -> Timer? {
    guard let place = entries.lastIndex(where: { $0.number <= newest }), entries[place].time <= now else { return nil }
    return entries.remove(at: place).timer
  }

  /// The index at which an entry of that time and number is, or would be inserted.
  private func place(_ time: UInt64, _ number: UInt64) -> Int {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if (entries[middle].time, entries[middle].number) > (time, number) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
