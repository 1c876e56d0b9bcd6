internal import CSystemd

/// Something that an `EventLoop` waits for, until `cancel()` or the end of this object's life.
///
/// The corresponding C object is `sd_event_source`.
@safe public final class EventSource: @unchecked Sendable {
  private var handle: OpaquePointer?
  private var action: ((Int64) -> Void)?

  /// Called when the waiting ends, for loops other than `EventLoop`.
  private var onCancel: (() -> Void)?

  init(_ action: @escaping (Int64) -> Void) { self.action = action }

  /// Makes a source of a loop that is not an `EventLoop`.
  ///
  /// - Parameter onCancel: called when nobody waits any more.
  package init(onCancel: @escaping () -> Void) { self.onCancel = onCancel }

  deinit { cancel() }

  /// Ends the waiting. This may be called from the source's own action.
  public func cancel() {
    if let handle = unsafe handle {
      unsafe sd_event_source_disable_unref(handle)
      unsafe self.handle = nil
    }
    action = nil
    onCancel?()
    onCancel = nil
  }

  /// Sets a new time for a timer (microseconds of CLOCK_MONOTONIC), and enables it for one call.
  ///
  /// This needs neither memory nor a descriptor, so it does not fail when those run out. The corresponding C functions are
  /// `sd_event_source_set_time` and `sd_event_source_set_enabled`.
  package func rearm(at time: UInt64, accuracy: UInt64) {
    guard let handle = unsafe handle else { return }
    unsafe sd_event_source_set_time(handle, time)
    unsafe sd_event_source_set_time_accuracy(handle, accuracy)
    unsafe sd_event_source_set_enabled(handle, CInt(SD_EVENT_ONESHOT))
  }

  /// Enables the source for one call.
  ///
  /// - Returns: false if memory for that is lacking.
  package func enableOnce() -> Bool {
    guard let handle = unsafe handle else { return false }
    return unsafe sd_event_source_set_enabled(handle, CInt(SD_EVENT_ONESHOT)) >= 0
  }

  /// Disables the source until it is enabled again.
  package func disable() {
    if let handle = unsafe handle { unsafe sd_event_source_set_enabled(handle, CInt(SD_EVENT_OFF)) }
  }

  /// Registers with the loop, through the C function that the closure calls.
  func attach(
    _ priority: EventLoop.Priority,
    _ add: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutableRawPointer) -> CInt
  ) throws(SystemError) {
    // The pointer is not retained: this object frees the handle when its own life ends.
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    var handle: OpaquePointer?
    try SystemError.check(unsafe add(&handle, context), "add an event source")
    unsafe self.handle = handle
    try SystemError.check(
      unsafe sd_event_source_set_priority(handle, priority.rawValue), "set an event source's priority")
  }

  static func call(_ context: UnsafeMutableRawPointer?, _ value: Int64) -> CInt {
    guard let context = unsafe context else { return 0 }
    // The local variable retains the source for the call, because the action may release the last other reference.
    let source = unsafe Unmanaged<EventSource>.fromOpaque(context).takeUnretainedValue()
    source.action?(value)
    return 0
  }
}
