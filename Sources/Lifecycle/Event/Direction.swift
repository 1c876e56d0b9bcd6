/// Where an event leaves a unit: up or down.
package enum Direction: String, Sendable {
  case up, down

  package var opposite: Direction { self == .up ? .down : .up }
}

extension LifecycleEvent.Kind {
  /// What distinguishes a kind of event from the others: this is the one place that says it.
  private var traits: (direction: Direction?, isRepeatable: Bool) {
    switch self {
    case .started: (.up, false)
    case .stopped, .failed: (.down, false)
    case .gaveUp: (.down, true)
    case .starting, .finished, .restarted: (nil, false)
    case .stopping, .restarting, .reloading, .reloaded, .reloadFailed, .skipped, .oom: (nil, true)
    }
  }

  /// The direction that a unit takes with the event; nil for events that leave it where it is.
  package var direction: Direction? { traits.direction }

  /// Whether it may happen more than once within an invocation, so that the time is part of its id.
  var isRepeatable: Bool { traits.isRepeatable }
}
