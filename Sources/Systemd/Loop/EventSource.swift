internal import CSystemd

/// Something that an `EventLoop` waits for. It is waited for as long as this object is kept, or until `cancel()`.
///
/// The corresponding C object is `sd_event_source`.
@safe public final class EventSource: @unchecked Sendable {
  private var handle: OpaquePointer?
  private var action: ((Int64) -> Void)?

  init(_ action: @escaping (Int64) -> Void) { self.action = action }

  deinit { cancel() }

  /// No longer waits. May be called from the source's own action.
  public func cancel() {
    if let handle = unsafe handle {
      unsafe sd_event_source_disable_unref(handle)
      unsafe self.handle = nil
    }
    action = nil
  }

  /// Of a timer: is called once more, at another time (microseconds of CLOCK_MONOTONIC).
  ///
  /// This needs neither memory nor a descriptor, so it cannot fail for want of them. The corresponding C functions are
  /// `sd_event_source_set_time` and `sd_event_source_set_enabled`.
  package func rearm(at time: UInt64, accuracy: UInt64) {
    guard let handle = unsafe handle else { return }
    unsafe sd_event_source_set_time(handle, time)
    unsafe sd_event_source_set_time_accuracy(handle, accuracy)
    unsafe sd_event_source_set_enabled(handle, CInt(SD_EVENT_ONESHOT))
  }

  /// Is called once more; false if the loop has no memory for that.
  package func enableOnce() -> Bool {
    guard let handle = unsafe handle else { return false }
    return unsafe sd_event_source_set_enabled(handle, CInt(SD_EVENT_ONESHOT)) >= 0
  }

  /// Is not called until it is enabled again.
  package func disable() {
    if let handle = unsafe handle { unsafe sd_event_source_set_enabled(handle, CInt(SD_EVENT_OFF)) }
  }

  /// Registers with the loop, through the C function that the closure calls.
  func attach(
    _ priority: EventLoop.Priority,
    _ add: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutableRawPointer) -> CInt
  ) throws(SystemError) {
    // Unretained: the handle goes away with this object.
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    var handle: OpaquePointer?
    try SystemError.check(unsafe add(&handle, context), "add an event source")
    unsafe self.handle = handle
    try SystemError.check(
      unsafe sd_event_source_set_priority(handle, priority.rawValue), "set an event source's priority")
  }

  static func call(_ context: UnsafeMutableRawPointer?, _ value: Int64) -> CInt {
    guard let context = unsafe context else { return 0 }
    // Retained for the call, since the action may give up the last reference.
    let source = unsafe Unmanaged<EventSource>.fromOpaque(context).takeUnretainedValue()
    source.action?(value)
    return 0
  }
}
