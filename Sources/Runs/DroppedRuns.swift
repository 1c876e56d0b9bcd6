internal import Hooks
internal import Systemd

/// Runs of a hook that were dropped for one reason in a span of time, and are reported together.
package struct DroppedRuns: Sendable, Equatable {
  package var hook: String
  /// `rate-limited` or `superseded`.
  package var state: Run.State
  /// How many, by unit.
  package var units: [(name: String, count: Int)]

  /// The number of units that are named.
  private static let mostUnits = 10

  package init(hook: String, state: Run.State, units: [(name: String, count: Int)]) {
    self.hook = hook
    self.state = state
    self.units = units
  }

  package static func == (one: DroppedRuns, other: DroppedRuns) -> Bool { one.text == other.text }

  /// How many there are.
  package var count: Int { units.reduce(0) { $0 + $1.count } }

  /// The units that are named.
  package var namedUnits: [String] { units.prefix(DroppedRuns.mostUnits).map(\.name) }

  package var text: String {
    let names = units.prefix(DroppedRuns.mostUnits).map { $0.count == 1 ? $0.name : "\($0.name) (\($0.count))" }
    let more = units.count - names.count
    let list = names.joined(separator: ", ") + (more > 0 ? " and \(more) other units" : "")
    let reason =
      state == .rateLimited
      ? "there were more events than RateLimitBurst= in RateLimitIntervalSec=; only the last event's run was kept"
      : "the hook says CatchUp=latest and later events of the units followed while journalhook was not running"
    return "Hook \(hook): \(count) \(count == 1 ? "run is" : "runs are") \(state.rawValue), for \(list): \(reason)."
  }
}
