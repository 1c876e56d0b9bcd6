/// A unit's turn: where an event leaves it, up or down.
package enum Direction: String, Sendable {
  case up, down

  package var opposite: Direction { self == .up ? .down : .up }
}

extension LifecycleEvent.Kind {
  /// The turn that a unit takes with the event; nil for events that leave it where it is.
  package var direction: Direction? {
    switch self {
    case .started: .up
    case .stopped, .failed, .gaveUp: .down
    default: nil
    }
  }
}
