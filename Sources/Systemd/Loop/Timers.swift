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
  /// The call is made as long as the returned object is kept, and is not canceled.
  func call(at time: UInt64, accuracy: UInt64, _ action: @escaping () -> Void) -> Timer

  /// Calls once in the next round of the loop, after what is ready now has had its turn.
  func callSoon(_ action: @escaping () -> Void) -> Timer
}

extension Timers {
  /// Calls once in some microseconds, at most `accuracy` microseconds later.
  package func call(in delay: UInt64, accuracy: UInt64 = 1000, _ action: @escaping () -> Void) -> Timer {
    let (time, isOver) = monotonic.addingReportingOverflow(delay)
    return call(at: isOver ? .max : time, accuracy: accuracy, action)
  }
}

/// A call that is due later. Whoever gives up this object cancels the call.
package final class Timer {
  /// When it is due, in microseconds of CLOCK_MONOTONIC.
  package let time: UInt64
  /// How much later the call may be made, in microseconds.
  package let accuracy: UInt64
  /// Tells apart, and orders, timers of the same time.
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

  /// The call is not made any more. May be used within the call itself.
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
/// It does not own them: a timer that its owner gives up takes itself out.
package struct TimerQueue {
  private struct Entry {
    let time: UInt64
    let number: UInt64
    unowned let timer: Timer
  }

  /// The one that is due next is the last.
  private var entries: [Entry] = []
  private var count: UInt64 = 0

  package init() {}

  /// A timer that takes itself out by `onCancel`; to be inserted by the caller.
  package mutating func makeTimer(
    at time: UInt64, accuracy: UInt64, onCancel: @escaping (Timer) -> Void, _ action: @escaping () -> Void
  ) -> Timer {
    count += 1
    let timer = Timer(time: time, accuracy: accuracy, number: count, onCancel: onCancel, action)
    entries.insert(Entry(time: time, number: count, timer: timer), at: place(time, count))
    return timer
  }

  /// Takes out a timer that is not to be called any more.
  package mutating func remove(_ timer: Timer) {
    let place = place(timer.time, timer.number)
    if place < entries.count, entries[place].number == timer.number { entries.remove(at: place) }
  }

  /// The timer that is due next.
  package var next: Timer? { entries.last?.timer }

  /// The number of the newest timer: those made later are left for the next round.
  package var newest: UInt64 { count }

  /// Takes out a timer that is due, of those up to a number.
  package mutating func takeDue(now: UInt64, upTo newest: UInt64 = .max) -> Timer? {
    guard let place = entries.lastIndex(where: { $0.number <= newest }), entries[place].time <= now else { return nil }
    return entries.remove(at: place).timer
  }

  /// Where an entry of that time and number is, or would be.
  private func place(_ time: UInt64, _ number: UInt64) -> Int {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if (entries[middle].time, entries[middle].number) > (time, number) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
