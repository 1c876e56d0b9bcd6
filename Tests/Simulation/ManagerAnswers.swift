internal import SimulatedSystem
internal import Systemd

/// The simulated manager, as those ask it who are connected to its bus, and as the steps of a history use it.
final class ManagerAnswers: AnsweringManager {
  private let manager: SimulatedManager

  init(_ manager: SimulatedManager) { self.manager = manager }

  func status(of unit: String) -> UnitStatus {
    guard var status = manager.status(of: unit) else {
      var missing = UnitStatus(unit: unit, activeState: "inactive")
      missing.loadState = "not-found"
      return missing
    }
    status.result = manager.result(of: unit)
    return status
  }

  func change(of unit: String) -> UnitChange? { manager.state(of: unit) }
  var loadedUnits: [String] { manager.unitNames }
  var systemState: String { manager.systemState }

  /// Whether something goes on by itself: a job, or a restart that is due.
  var isBusy: Bool { manager.unitNames.contains { manager.hasJob($0) } }

  /// Somebody does something to a unit, or its process does something.
  func act(_ chance: inout Chance) {
    var numbers = SeededNumbers(seed: chance.next())
    manager.doSomething(using: &numbers)
  }

  func reboot() { manager.reboot() }
  func crash() { manager.crash() }
}
