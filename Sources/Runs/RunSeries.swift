internal import Lifecycle

/// The runs of one hook for one unit.
package struct RunSeries: Hashable, Sendable {
  package var machine: String
  package var unit: String
  package var hook: String

  package init(_ run: Run) {
    machine = run.event.machine
    unit = run.event.unit
    hook = run.hook
  }
}
