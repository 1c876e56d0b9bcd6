internal import Glibc
internal import Systemd

/// What the manager of the simulated machine can be asked.
protocol AnsweringManager: AnyObject {
  /// The status of a unit, with its result.
  func status(of unit: String) -> UnitStatus
  /// The state of a unit, as a signal has it; nil if the manager has no such unit.
  func change(of unit: String) -> UnitChange?
  /// The names of all units that it has loaded.
  var loadedUnits: [String] { get }
  /// `running`, `starting`, `stopping`, …
  var systemState: String { get }
}

/// A message of the manager on its bus.
enum ManagerMessage {
  case changed(UnitChange)
  case job(id: UInt32, unit: String, result: String?)
  case reloaded
  /// Something else, which is only a reason to look.
  case other
}

/// A connection to the simulated manager.
final class SimulatedLink: ManagerLink {
  var onShutdown: ((Bool) -> Void)?
  var onReload: (() -> Void)?
  var onJob: ((UInt32, String, String?) -> Void)?
  var onUnitState: ((UnitChange) -> Void)?
  var onUnitNames: ((Set<String>) -> Void)?
  private var onMessage: ((UnitChange?) -> Void)?
  private var onDisconnect: (() -> Void)?
  private var isOpen = true
  private unowned let manager: any AnsweringManager
  private let timers: ProcessTimers
  private var chance: Chance
  /// Answers and messages on their way.
  private var waiting: [Timer] = []
  private var lastDelivery: UInt64 = 0

  init(to manager: any AnsweringManager, timers: ProcessTimers, seed: UInt64) {
    self.manager = manager
    self.timers = timers
    chance = Chance(seed)
  }

  func listen(
    in loop: any Loop, onMessage: @escaping (UnitChange?) -> Void, onDisconnect: @escaping () -> Void
  ) {
    self.onMessage = onMessage
    self.onDisconnect = onDisconnect
  }

  /// Delivers something a moment later, in the order of sending.
  private func deliver(_ action: @escaping () -> Void) {
    let time = max(lastDelivery, timers.monotonic + chance.time(upTo: 5000))
    lastDelivery = time
    waiting.removeAll { $0.time < timers.monotonic }
    waiting.append(
      timers.call(at: time, accuracy: 0) { [weak self] in
        guard let self, isOpen else { return }
        action()
      })
  }

  /// The manager sends a message.
  func send(_ message: ManagerMessage) {
    deliver { [unowned self] in
      switch message {
      case .changed(let change): onMessage?(change)
      case .job(let id, let unit, let result):
        if unit == "shutdown.target" { onShutdown?(result == nil) }
        onJob?(id, unit, result)
        onMessage?(nil)
      case .reloaded:
        onReload?()
        onMessage?(nil)
      case .other: onMessage?(nil)
      }
    }
  }

  /// The connection ends.
  func disconnect() {
    guard isOpen else { return }
    isOpen = false
    waiting = []
    onDisconnect?()
  }

  func askForUnits() {
    deliver { [unowned self] in
      let names = manager.loadedUnits
      onUnitNames?(Set(names))
      for name in names {
        deliver { [unowned self] in if let change = manager.change(of: name) { onUnitState?(change) } }
      }
    }
  }

  func askStatus(of unit: String, then answer: @escaping (Result<UnitStatus, SystemError>) -> Void) {
    deliver { [unowned self] in
      var status = manager.status(of: unit)
      status.result = nil
      answer(.success(status))
    }
  }

  func askResult(of unit: String, then answer: @escaping (Result<String, SystemError>) -> Void) {
    deliver { [unowned self] in answer(.success(manager.status(of: unit).result ?? "")) }
  }

  func askSystemState(then answer: @escaping (Result<String, SystemError>) -> Void) {
    deliver { [unowned self] in answer(.success(manager.systemState)) }
  }
}
