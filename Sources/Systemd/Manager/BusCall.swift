internal import CSystemd
internal import Glibc

/// A method call to the service manager.
@safe final class BusCall {
  /// What the call does, and the unit that it is about, for errors.
  private let operation: String
  private let subject: String?
  private let bus: Bus
  private let message: OpaquePointer

  /// Makes a call of the manager's own method, or of another object's.
  init(
    _ bus: Bus, _ method: String, at path: String = Bus.managerPath, interface: String = Bus.managerInterface,
    for operation: String, about subject: String? = nil
  ) throws(SystemError) {
    self.bus = bus
    self.operation = operation
    self.subject = subject
    var message: OpaquePointer?
    try SystemError.check(
      unsafe sd_bus_message_new_method_call(bus.handle, &message, Bus.managerName, path, interface, method), operation,
      path: subject)
    guard let message = unsafe message else { throw SystemError(operation, path: subject, code: ENOMEM) }
    unsafe self.message = message
  }

  deinit { unsafe sd_bus_message_unref(message) }

  /// Appends an argument.
  func append(_ text: String) throws(SystemError) {
    try check(unsafe text.withCString { unsafe sd_bus_message_append_basic(message, busType("s"), $0) })
  }

  /// Appends an array of texts as one argument.
  func append(_ texts: [String]) throws(SystemError) {
    try check(unsafe sd_bus_message_open_container(message, busType("a"), "s"))
    for text in texts { try append(text) }
    try check(unsafe sd_bus_message_close_container(message))
  }

  private func check(_ result: CInt) throws(SystemError) {
    try SystemError.check(result, operation, path: subject)
  }

  /// Sends the call, and waits for the reply.
  ///
  /// - Parameters:
  ///   - timeout: how long to wait, in microseconds.
  ///   - read: reads the reply; nil if it is malformed.
  func reply<Value>(
    within timeout: UInt64 = Bus.callTimeout, _ read: (BusReader) -> Value?
  ) throws(SystemError) -> Value {
    var reply: OpaquePointer?
    defer { unsafe sd_bus_message_unref(reply) }
    try check(unsafe sd_bus_call(bus.handle, message, timeout, nil, &reply))
    guard let value = read(unsafe BusReader(reply)) else {
      throw SystemError(operation, path: subject, code: EBADMSG)
    }
    return value
  }

  /// Sends the call without waiting. The event loop then calls `answer`, except if the connection ends before.
  ///
  /// - Parameters:
  ///   - timeout: how long to wait for the reply, in microseconds.
  ///   - read: reads the reply; nil if it is malformed.
  ///   - answer: gets the value, or the error of the call.
  func send<Value>(
    within timeout: UInt64 = Bus.callTimeout, _ read: @escaping (BusReader) -> Value?,
    then answer: @escaping (Result<Value, SystemError>) -> Void
  ) throws(SystemError) {
    let (operation, subject) = (operation, subject)
    let pending = PendingBusCall(bus) { reply in
      if let code = reply.errorCode { return answer(.failure(SystemError(operation, path: subject, code: code))) }
      answer(read(reply).map { .success($0) } ?? .failure(SystemError(operation, path: subject, code: EBADMSG)))
    }
    try check(unsafe pending.start(message, timeout))
  }
}

/// A call that waits for its reply. The bus owns it until then.
@safe final class PendingBusCall {
  private unowned let bus: Bus
  private let answer: (BusReader) -> Void
  /// The corresponding C object is `sd_bus_slot`; releasing it cancels the call.
  private var slot: OpaquePointer?

  init(_ bus: Bus, _ answer: @escaping (BusReader) -> Void) {
    self.bus = bus
    self.answer = answer
  }

  deinit { unsafe sd_bus_slot_unref(slot) }

  /// Sends the message; returns the result of `sd_bus_call_async`.
  func start(_ message: OpaquePointer, _ timeout: UInt64) -> CInt {
    // The pointer is not retained: the bus keeps this object until the reply, and releases the slot with it.
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    let result = unsafe sd_bus_call_async(
      bus.handle, &slot, message,
      { reply, context, _ in
        guard let context = unsafe context else { return 0 }
        let call = unsafe Unmanaged<PendingBusCall>.fromOpaque(context).takeUnretainedValue()
        call.bus.pendingCalls[ObjectIdentifier(call)] = nil
        call.answer(unsafe BusReader(reply))
        return 0
      }, context, timeout)
    if result >= 0 { bus.pendingCalls[ObjectIdentifier(self)] = self }
    return result
  }
}
