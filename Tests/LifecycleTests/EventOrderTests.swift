import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// Events that were told late, in the order of time again.
@Suite struct EventOrderTests {
  private func event(
    _ name: String, _ time: UInt64, unit: String? = nil, boot: String = "b", source: LifecycleEvent.Source = .journal
  ) -> LifecycleEvent {
    LifecycleEvent(
      id: name, kind: .stopped, unit: unit ?? name, realtime: 0, monotonic: time, boot: boot, machine: "m",
      source: source)
  }

  /// The names in the order in which they are given, `|` between one call and the next.
  private func order(_ steps: [(events: [LifecycleEvent], waitingSince: UInt64?)]) -> String {
    var order = EventOrder()
    return steps.map { order.take($0.events, waitingSince: $0.waitingSince).map(\.id).joined(separator: " ") }
      .joined(separator: "|")
  }

  @Test func whatWaitedComesWhereItHappened() {
    #expect(order([([event("a", 1), event("b", 2)], nil)]) == "a b")
    #expect(order([([event("a", 1), event("c", 3)], 2), ([event("d", 4)], 2), ([event("b", 2)], nil)]) == "a||b c d")
    #expect(order([([event("a", 1), event("c", 3), event("b", 2)], nil)]) == "a b c", "in one batch")
    #expect(order([([event("c", 3)], 2), ([event("b", 2), event("d", 4)], 4), ([], nil)]) == "|b c|d")
    #expect(order([([event("a", 2), event("b", 2)], 2), ([event("c", 2)], nil)]) == "|a b c", "at the same time")
  }

  @Test func whatIsNotMoved() {
    let own = [event("a", 3, unit: "u"), event("b", 2, unit: "u")]
    #expect(order([(own, nil)]) == "a b", "a unit's own events")
    #expect(order([([event("a", 9), event("b", 1, boot: "c")], nil)]) == "a b", "another boot")
    let failed = event("b", 1, source: .restartFailed)
    #expect(order([([event("a", 9), failed], nil)]) == "a b", "a restart that the boot's end has cut off")
  }
}
