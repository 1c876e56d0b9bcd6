internal import CSystemd
internal import Glibc

/// Questions to the service manager, with and without waiting for the answer.
extension Bus {
  /// What the manager knows of a unit, which it loads for that if it is not.
  ///
  /// Waits for the answer, up to two seconds or the time given.
  public func status(of unit: String, within timeout: UInt64 = patience) throws(SystemError) -> UnitStatus {
    let request = try Request(.unit(unit), self)
    return try UnitStatus(request.answer(on: self, within: timeout), asked: unit)
  }

  /// The ActiveState of a unit: `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, …
  ///
  /// Waits for the answer, up to two seconds.
  public func activeState(of unit: String) throws(SystemError) -> String { try status(of: unit).activeState }

  /// The manager's own properties, of org.freedesktop.systemd1.Manager.
  ///
  /// Waits for the answer, up to two seconds.
  public func managerProperties() throws(SystemError) -> BusProperties {
    try Request(.manager, self).answer(on: self, within: Bus.patience)
  }

  /// Asks for what the manager knows of a unit. The answer comes from the loop; none comes if the connection ends before it.
  public func askStatus(
    of unit: String, then answer: @escaping (Result<UnitStatus, SystemError>) -> Void
  ) throws(SystemError) {
    try Request(.unit(unit), self).send(on: self) { reply in
      answer(reply.map { UnitStatus($0, asked: unit) })
    }
  }

  /// Asks for a unit's `Result`, which only some types have.
  public func askResult(
    of unit: String, then answer: @escaping (Result<String, SystemError>) -> Void
  ) throws(SystemError) {
    try Request(.result(unit), self).send(on: self) { reply in answer(reply.map { $0.text("Result") }) }
  }

  /// Asks for the manager's own properties.
  public func askManager(then answer: @escaping (Result<BusProperties, SystemError>) -> Void) throws(SystemError) {
    try Request(.manager, self).send(on: self, answer)
  }

  /// A question that waits for its answer.
  @safe final class Call {
    fileprivate let answer: (Result<BusProperties, SystemError>) -> Void
    fileprivate let subject: Subject
    fileprivate unowned let bus: Bus
    /// The corresponding C object is `sd_bus_slot`.
    fileprivate var slot: OpaquePointer?

    fileprivate init(
      _ bus: Bus, _ subject: Subject, _ answer: @escaping (Result<BusProperties, SystemError>) -> Void
    ) {
      self.bus = bus
      self.subject = subject
      self.answer = answer
    }

    deinit { unsafe sd_bus_slot_unref(slot) }
  }

  /// What is asked about.
  fileprivate enum Subject {
    case unit(String)
    case result(String)
    case manager

    var operation: String { "ask the service manager about" }

    var path: String {
      switch self {
      case .unit(let unit), .result(let unit): unit
      case .manager: "itself"
      }
    }

    func read(_ reply: OpaquePointer?) -> Result<BusProperties, SystemError> {
      let properties: BusProperties? =
        switch self {
        case .unit, .manager: unsafe BusPropertyReader.all(reply)
        case .result: unsafe BusPropertyReader.one(reply).map { ["Result": $0] }
        }
      return properties.map { .success($0) } ?? .failure(SystemError(operation, path: path, code: EBADMSG))
    }
  }

  /// The message that asks.
  @safe fileprivate final class Request {
    private let subject: Subject
    private let message: OpaquePointer

    init(_ subject: Subject, _ bus: Bus) throws(SystemError) {
      self.subject = subject
      let (operation, name) = (subject.operation, subject.path)
      var path: UnsafeMutablePointer<CChar>?
      defer { unsafe free(path) }
      if case .manager = subject {
        unsafe path = strdup("/org/freedesktop/systemd1")
      } else {
        try SystemError.check(
          unsafe sd_bus_path_encode("/org/freedesktop/systemd1/unit", name, &path), operation, path: name)
      }
      let arguments =
        switch subject {
        case .unit: ["org.freedesktop.systemd1.Unit"]
        case .manager: ["org.freedesktop.systemd1.Manager"]
        case .result: ["org.freedesktop.systemd1.\(UnitName(name).busInterface)", "Result"]
        }
      var message: OpaquePointer?
      try SystemError.check(
        unsafe sd_bus_message_new_method_call(
          bus.handle, &message, "org.freedesktop.systemd1", path, "org.freedesktop.DBus.Properties",
          arguments.count > 1 ? "Get" : "GetAll"), operation, path: name)
      guard let message = unsafe message else { throw SystemError(operation, path: name, code: ENOMEM) }
      unsafe self.message = message
      for argument in arguments {
        try SystemError.check(
          unsafe argument.withCString { unsafe sd_bus_message_append_basic(message, CChar(UInt8(ascii: "s")), $0) },
          operation, path: name)
      }
    }

    deinit { unsafe sd_bus_message_unref(message) }

    func answer(on bus: Bus, within timeout: UInt64) throws(SystemError) -> BusProperties {
      var reply: OpaquePointer?
      defer { unsafe sd_bus_message_unref(reply) }
      try SystemError.check(
        unsafe sd_bus_call(bus.handle, message, timeout, nil, &reply), subject.operation, path: subject.path)
      return try unsafe subject.read(reply).get()
    }

    func send(
      on bus: Bus, _ answer: @escaping (Result<BusProperties, SystemError>) -> Void
    ) throws(SystemError) {
      let call = Call(bus, subject, answer)
      // Unretained: the bus keeps the call until its answer, and takes the slot back with it.
      let context = unsafe Unmanaged.passUnretained(call).toOpaque()
      try SystemError.check(
        unsafe sd_bus_call_async(
          bus.handle, &call.slot, message,
          { reply, context, _ in
            guard let context = unsafe context else { return 0 }
            let call = unsafe Unmanaged<Call>.fromOpaque(context).takeUnretainedValue()
            call.bus.calls[ObjectIdentifier(call)] = nil
            if unsafe sd_bus_message_is_method_error(reply, nil) > 0 {
              let code = unsafe sd_bus_message_get_errno(reply)
              call.answer(.failure(SystemError(call.subject.operation, path: call.subject.path, code: code)))
            } else {
              call.answer(unsafe call.subject.read(reply))
            }
            return 0
          }, context, Bus.patience * 15), subject.operation, path: subject.path)
      bus.calls[ObjectIdentifier(call)] = call
    }
  }
}

extension UnitName {
  /// The D-Bus interface of units of this type, without its common beginning: `Service`, `Socket`, …
  fileprivate var busInterface: String {
    let suffix = suffix.map { $0.drop { $0 == "." } } ?? "service"
    return (suffix.first?.uppercased() ?? "") + suffix.dropFirst()
  }
}
