import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// Whether a unit has taken the opposite turn since an event, as far as the tracker knows.
@Suite struct TurnTests {
  struct Case {
    var kind = LifecycleEvent.Kind.stopped
    /// The boots of the event, of what the tracker knows, and of the machine.
    var boots: (event: String, known: String, newest: String)
    var lastUp: UInt64 = 0
    var lastDown: UInt64 = 0
    var hasTurnedBack: Bool
  }

  static let cases = [
    Case(boots: ("b", "b", "b"), lastUp: 200, hasTurnedBack: true),
    Case(boots: ("b", "b", "b"), lastUp: 50, hasTurnedBack: false),
    Case(kind: .started, boots: ("b", "b", "b"), lastUp: 200, lastDown: 150, hasTurnedBack: true),
    Case(kind: .reloaded, boots: ("b", "b", "b"), lastUp: 200, lastDown: 200, hasTurnedBack: false),
    // In a later boot any turn is later, however soon after the boot it was.
    Case(boots: ("b", "c", "c"), lastUp: 50, hasTurnedBack: true),
    Case(boots: ("b", "c", "c"), lastDown: 50, hasTurnedBack: false),
    // Reading may begin in an earlier boot again (--since); what is known there was before the event.
    Case(boots: ("b", "a", "c"), lastUp: 200, hasTurnedBack: false),
  ]

  @Test(arguments: cases) func turns(_ test: Case) {
    var state = UnitState()
    state.lastUp = test.lastUp
    state.lastDown = test.lastDown
    let key = LifecycleTracker.Key(machine: "m", manager: .system, unit: "a.service")
    let tracker = LifecycleTracker(units: [key: state], boots: ["m": test.boots.known])
    let event = LifecycleEvent(
      id: "", kind: test.kind, unit: "a.service", realtime: 100, monotonic: 100, boot: test.boots.event, machine: "m")
    #expect(tracker.hasTurnedBack(since: event, newestBoot: test.boots.newest) == test.hasTurnedBack)
  }
}
