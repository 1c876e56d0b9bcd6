/// Puts the events of one machine into the order of time.
///
/// The tracker emits a `stopped` that has waited for the stop job's last message after what other units did meanwhile. A
/// unit's own events stay in the order in which they were emitted.
package struct EventOrder: Sendable {
  /// Those that an event which still waits may come before.
  private var held: [LifecycleEvent] = []

  package init() {}

  /// Takes the events that were emitted next, and gives those that nothing can come before any more.
  ///
  /// - Parameter waitingSince: since when an event waits to be emitted, in microseconds since boot; nil if none does.
  package mutating func take(_ events: [LifecycleEvent], waitingSince: UInt64?) -> [LifecycleEvent] {
    // Nearly always there is nothing to do.
    if held.isEmpty, waitingSince == nil, EventOrder.isInOrder(events) { return events }
    for event in events { insert(event) }
    let place = waitingSince.flatMap { since in held.firstIndex { $0.monotonic >= since } } ?? held.count
    defer { held.removeFirst(place) }
    return Array(held[..<place])
  }

  private mutating func insert(_ event: LifecycleEvent) {
    var place = held.count
    // A restart that the end of the boot has cut off has the time of its stop, which may be long ago.
    if event.source != .restartFailed {
      while place > 0, held[place - 1].monotonic > event.monotonic, held[place - 1].boot == event.boot,
        held[place - 1].unit != event.unit
      {
        place -= 1
      }
    }
    held.insert(event, at: place)
  }

  private static func isInOrder(_ events: [LifecycleEvent]) -> Bool {
    guard events.count > 1 else { return true }
    return (1..<events.count).allSatisfy { events[$0 - 1].monotonic <= events[$0].monotonic }
  }
}
