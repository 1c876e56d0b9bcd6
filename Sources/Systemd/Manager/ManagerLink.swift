internal import Glibc

/// A connection to the service manager that is listened to, and that is asked without waiting for the answer.
///
/// `Bus` is the real one. A simulation has one to a manager that it invents. The members mean the same as those of `Bus`.
package protocol ManagerLink: AnyObject {
  var onShutdown: ((Bool) -> Void)? { get set }
  var onReload: (() -> Void)? { get set }
  var onJob: ((_ id: UInt32, _ unit: String, _ result: String?) -> Void)? { get set }
  var onUnitState: ((UnitChange) -> Void)? { get set }
  var onUnitNames: ((Set<String>) -> Void)? { get set }

  /// Has the loop receive the manager's messages.
  ///
  /// - Parameters:
  ///   - onMessage: called for each message that arrives, with the state of a unit if the message reports one.
  ///   - onDisconnect: called once, when the connection has ended.
  func listen(
    in loop: any Loop, onMessage: @escaping (UnitChange?) -> Void, onDisconnect: @escaping () -> Void
  ) throws(SystemError)

  func askForUnits() throws(SystemError)
  func askStatus(
    of unit: String, then answer: @escaping (Result<UnitStatus, SystemError>) -> Void) throws(SystemError)
  func askResult(of unit: String, then answer: @escaping (Result<String, SystemError>) -> Void) throws(SystemError)

  /// Asks for the state of the system: `running`, `degraded`, `starting`, `stopping`, …
  func askSystemState(then answer: @escaping (Result<String, SystemError>) -> Void) throws(SystemError)
}

extension Bus: ManagerLink {
  package func listen(
    in loop: any Loop, onMessage: @escaping (UnitChange?) -> Void, onDisconnect: @escaping () -> Void
  ) throws(SystemError) {
    guard let loop = loop as? EventLoop else { throw SystemError("attach the bus to the event loop", code: EINVAL) }
    try attach(to: loop, onMessage: onMessage, onDisconnect: onDisconnect)
  }

  package func askSystemState(then answer: @escaping (Result<String, SystemError>) -> Void) throws(SystemError) {
    try askManager { reply in answer(reply.map { $0.text("SystemState") }) }
  }
}
