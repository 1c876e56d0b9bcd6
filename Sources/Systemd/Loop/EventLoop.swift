internal import CSystemd
internal import Glibc

/// The event loop of the process's only thread.
///
/// Everything that the process waits for is a source of this loop: descriptors, timers, signals. The corresponding C object is
/// `sd_event`; see sd-event(3).
@safe public final class EventLoop {
  private let handle: OpaquePointer

  /// Makes a loop for the calling thread.
  public init() throws(SystemError) {
    var handle: OpaquePointer?
    try SystemError.check(unsafe sd_event_new(&handle), "make an event loop")
    guard let handle = unsafe handle else { throw SystemError("make an event loop", code: ENOMEM) }
    unsafe self.handle = handle
    // sd-event creates the descriptor for its timers with the first timer: do that now, before descriptors can run out.
    _ = try schedule(at: .max) {}
  }

  deinit { unsafe sd_event_unref(handle) }

  /// Runs until `exit(_:)`, and returns its code.
  public func run() throws(SystemError) -> CInt {
    try SystemError.check(unsafe sd_event_loop(handle), "run the event loop")
  }

  /// Waits for one event for at most `timeout` microseconds, and handles it; for tests and for bounded waits.
  ///
  /// - Returns: whether there was an event.
  @discardableResult
  public func runOnce(timeout: UInt64 = .max) throws(SystemError) -> Bool {
    try SystemError.check(unsafe sd_event_run(handle, timeout), "run the event loop") > 0
  }

  /// Ends `run()`.
  public func exit(_ code: CInt) { _ = unsafe sd_event_exit(handle, code) }

  /// The loop's clock: microseconds of CLOCK_MONOTONIC at the start of this round.
  public func now() -> UInt64 {
    var time: UInt64 = 0
    return unsafe sd_event_now(handle, CLOCK_MONOTONIC, &time) >= 0 ? time : 0
  }

  /// Lets sd-event reset the service manager's watchdog timer as long as the loop runs (sd_event_set_watchdog(3)).
  public func sendWatchdogNotifications() throws(SystemError) {
    try SystemError.check(unsafe sd_event_set_watchdog(handle, 1), "answer the watchdog")
  }

  /// The C object, for other parts of libsystemd that attach to the loop.
  var rawHandle: OpaquePointer { unsafe handle }

  // MARK: Sources

  /// What to wait for on a descriptor: the events of epoll_ctl(2).
  public struct Readiness: OptionSet, Sendable {
    /// epoll's bits.
    public let rawValue: UInt32
    /// Makes a set from epoll's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// There is something to read.
    public static let input = Readiness(rawValue: EPOLLIN.rawValue)
    /// There is room to write.
    public static let output = Readiness(rawValue: EPOLLOUT.rawValue)
    /// There is an exceptional condition, such as a change of /proc/self/mountinfo (EPOLLPRI).
    public static let exceptional = Readiness(rawValue: EPOLLPRI.rawValue)
    /// The other end is gone.
    public static let hangUp = Readiness(rawValue: EPOLLHUP.rawValue)
  }

  /// The order in which sources that are ready in the same round are called.
  public enum Priority: Int64, Sendable {
    case important = -100
    case normal = 0
    case idle = 100
  }

  /// Calls back when the descriptor is ready. The caller keeps the ownership of the descriptor.
  public func watch(
    _ descriptor: CInt, for readiness: Readiness, priority: Priority = .normal,
    _ action: @escaping (Readiness) -> Void
  ) throws(SystemError) -> EventSource {
    let source = EventSource { action(Readiness(rawValue: UInt32(truncatingIfNeeded: $0))) }
    try unsafe source.attach(priority) { (source, context) in
      unsafe sd_event_add_io(
        handle, source, descriptor, readiness.rawValue,
        { _, _, events, context in unsafe EventSource.call(context, Int64(events)) },
        context)
    }
    return source
  }

  /// Calls back once when CLOCK_MONOTONIC reaches the time, in microseconds, at most `accuracy` microseconds later.
  public func schedule(
    at time: UInt64, accuracy: UInt64 = 1000, _ action: @escaping () -> Void
  ) throws(SystemError) -> EventSource {
    let source = EventSource { _ in action() }
    try unsafe source.attach(.normal) { (source, context) in
      unsafe sd_event_add_time(
        handle, source, CLOCK_MONOTONIC, time, accuracy, { _, _, context in unsafe EventSource.call(context, 0) },
        context)
    }
    return source
  }

  /// Calls back for each arrival of a signal, before all other sources that are ready. The signal is blocked from now on.
  public func watch(signal: CInt, _ action: @escaping () -> Void) throws(SystemError) -> EventSource {
    EventLoop.block([signal])
    let source = EventSource { _ in action() }
    try unsafe source.attach(.important) { (source, context) in
      unsafe sd_event_add_signal(
        handle, source, signal, { _, _, context in unsafe EventSource.call(context, Int64(0)) }, context)
    }
    return source
  }

  /// Calls back in the next round.
  public func schedule(_ action: @escaping () -> Void) throws(SystemError) -> EventSource {
    let source = EventSource { _ in action() }
    try unsafe source.attach(.normal) { (source, context) in
      unsafe sd_event_add_defer(handle, source, { _, context in unsafe EventSource.call(context, 0) }, context)
    }
    return source
  }

  /// Calls back when the loop ends by `exit(_:)`.
  public func scheduleAtExit(_ action: @escaping () -> Void) throws(SystemError) -> EventSource {
    let source = EventSource { _ in action() }
    try unsafe source.attach(.normal) { (source, context) in
      unsafe sd_event_add_exit(handle, source, { _, context in unsafe EventSource.call(context, 0) }, context)
    }
    return source
  }

  /// Blocks signals in this thread.
  public static func block(_ signals: [CInt]) {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
  }
}
