internal import Systemd

/// The event loop of one simulated process: its descriptors are those of simulated journals.
final class ProcessLoop: Loop {
  private var watches: [CInt: (number: Int, action: (EventLoop.Readiness) -> Void)] = [:]
  private var signals: [CInt: () -> Void] = [:]
  private var count = 0
  /// The code of `exit`; nil while the loop runs.
  private(set) var exitCode: CInt?
  /// Called when somebody begins to wait for a descriptor, which may be ready already.
  var onWatch: (CInt) -> Void = { _ in }

  func watch(
    _ descriptor: CInt, for readiness: EventLoop.Readiness, _ action: @escaping (EventLoop.Readiness) -> Void
  ) throws(SystemError) -> EventSource {
    count += 1
    let number = count
    watches[descriptor] = (number, action)
    onWatch(descriptor)
    return EventSource(onCancel: { [weak self] in
      if self?.watches[descriptor]?.number == number { self?.watches[descriptor] = nil }
    })
  }

  func watch(signal: CInt, _ action: @escaping () -> Void) throws(SystemError) -> EventSource {
    signals[signal] = action
    return EventSource(onCancel: { [weak self] in self?.signals[signal] = nil })
  }

  func sendWatchdogNotifications() throws(SystemError) {}

  func exit(_ code: CInt) { if exitCode == nil { exitCode = code } }

  /// A descriptor is ready, if somebody waits for it.
  func wake(_ descriptor: CInt) { watches[descriptor]?.action(.input) }

  /// A signal arrives.
  func send(_ signal: CInt) { signals[signal]?() }
}
