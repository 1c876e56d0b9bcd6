/// What a daemon waits for: descriptors and signals, until somebody asks it to end.
///
/// `EventLoop` is the real one. A simulation has one without a kernel.
package protocol Loop: AnyObject {
  /// Calls back when the descriptor is ready. The caller keeps the ownership of the descriptor.
  func watch(
    _ descriptor: CInt, for readiness: EventLoop.Readiness, _ action: @escaping (EventLoop.Readiness) -> Void
  ) throws(SystemError) -> EventSource

  /// Calls back for each arrival of a signal.
  func watch(signal: CInt, _ action: @escaping () -> Void) throws(SystemError) -> EventSource

  /// Answers the service manager's watchdog as long as the loop runs.
  func sendWatchdogNotifications() throws(SystemError)

  /// Ends the loop with a code.
  func exit(_ code: CInt)
}

extension EventLoop: Loop {
  package func watch(
    _ descriptor: CInt, for readiness: Readiness, _ action: @escaping (Readiness) -> Void
  ) throws(SystemError) -> EventSource {
    try watch(descriptor, for: readiness, priority: .normal, action)
  }
}
