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
