/// The time of a simulated machine, and what is to happen later.
package protocol SimulatedClock: AnyObject {
  /// Microseconds since the machine's boot.
  var monotonic: UInt64 { get }
  /// Microseconds since 1970.
  var realtime: UInt64 { get }
  /// Has something done later. What is due at the same time is done in the order in which it was asked for.
  func after(_ microseconds: UInt64, _ action: @escaping () -> Void)
}

/// A clock that goes from one action to the next.
package final class VirtualClock: SimulatedClock {
  private struct Due {
    var time: UInt64
    var number: Int
    var action: () -> Void

    static func isBefore(_ one: Due, _ other: Due) -> Bool { (one.time, one.number) < (other.time, other.number) }
  }

  /// What is to be done: a binary heap, the next one first.
  private var heap: [Due] = []
  private var count = 0
  private var now: UInt64 = 0
  private var bootTime: UInt64 = 0
  private var startTime: UInt64

  package init(realtime: UInt64 = 1_800_000_000_000_000) { startTime = realtime }

  package var monotonic: UInt64 { now - bootTime }
  package var realtime: UInt64 { startTime + now }

  /// The machine boots: its monotonic time starts anew.
  package func boot(at monotonic: UInt64 = 0) { bootTime = now - min(monotonic, now) }

  package func after(_ microseconds: UInt64, _ action: @escaping () -> Void) {
    count += 1
    heap.append(Due(time: now + microseconds, number: count, action: action))
    var place = heap.count - 1
    while place > 0, Due.isBefore(heap[place], heap[(place - 1) / 2]) {
      heap.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  /// Does the next action; false if there is none, or none within the time that is given in microseconds from the start.
  package func step(until end: UInt64 = .max) -> Bool {
    guard let first = heap.first, first.time <= end else { return false }
    now = first.time
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    sink()
    first.action()
    return true
  }

  /// Lets time pass, in microseconds.
  package func run(for microseconds: UInt64) {
    let end = now + microseconds
    while step(until: end) {}
    now = end
  }

  private func sink() {
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2] where child < heap.count {
        if Due.isBefore(heap[child], heap[least]) { least = child }
      }
      if least == place { return }
      heap.swapAt(place, least)
      place = least
    }
  }
}
