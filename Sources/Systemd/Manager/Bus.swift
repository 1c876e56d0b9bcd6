internal import CSystemd
internal import Glibc

/// A connection to the service manager's D-Bus interface.
///
/// It is used in two ways: its signals are a nudge to look at the journal now, which journald's own notification tells up to
/// 250 ms later; and the manager is asked for the state of units. The corresponding C object is `sd_bus`.
@safe public final class Bus: @unchecked Sendable {
  let handle: OpaquePointer
  /// Questions that wait for their answers.
  var calls: [ObjectIdentifier: Call] = [:]
  /// Mounts and swaps that the manager has loaded, and that it was not asked about yet.
  var newUnits: Set<String> = []
  var isAskingForNewUnits = false
  private var slot: OpaquePointer?
  private var onMessage: ((UnitChange?) -> Void)?
  private var onDisconnect: (() -> Void)?
  private var changes = UnitChangeReader()

  /// Called with true when a job to shut the system down is queued, with false when it is canceled.
  public var onShutdown: ((Bool) -> Void)?
  /// Called when the manager has read the unit files anew.
  public var onReload: (() -> Void)?

  /// Called when a job is queued or gone: its number, its unit, and its result (`done`, `canceled`, …) if it is gone.
  public var onJob: ((_ id: UInt32, _ unit: String, _ result: String?) -> Void)?

  /// The job that a message tells to be new or gone; nil for every other message.
  private static func job(in message: OpaquePointer?) -> (id: UInt32, unit: String, result: String?)? {
    let isNew = unsafe sd_bus_message_is_signal(message, Bus.managerInterface, "JobNew") > 0
    let isGone = unsafe sd_bus_message_is_signal(message, Bus.managerInterface, "JobRemoved") > 0
    guard isNew || isGone else { return nil }
    var id: UInt32 = 0
    var path: UnsafePointer<CChar>?
    var unit: UnsafePointer<CChar>?
    var result: UnsafePointer<CChar>?
    func type(_ letter: Unicode.Scalar) -> CChar { CChar(truncatingIfNeeded: letter.value) }
    guard unsafe sd_bus_message_read_basic(message, type("u"), &id) > 0,
      unsafe sd_bus_message_read_basic(message, type("o"), &path) > 0,
      unsafe sd_bus_message_read_basic(message, type("s"), &unit) > 0, let unit = unsafe unit
    else { return nil }
    if isGone { _ = unsafe sd_bus_message_read_basic(message, type("s"), &result) }
    return (id, unsafe String(cString: unit), isNew ? nil : unsafe result.map { unsafe String(cString: $0) } ?? "")
  }

  private func take(_ message: OpaquePointer?) {
    if let job = unsafe Bus.job(in: message) {
      if job.unit == "shutdown.target" { onShutdown?(job.result == nil) }
      onJob?(job.id, job.unit, job.result)
    }
    unsafe noteNewUnit(in: message)
    if unsafe isReloaded(message) { onReload?() }
    onMessage?(unsafe changes.read(message))
  }

  /// Whether a message tells that a daemon-reload is over.
  private func isReloaded(_ message: OpaquePointer?) -> Bool {
    guard unsafe sd_bus_message_is_signal(message, Bus.managerInterface, "Reloading") > 0 else { return false }
    var isActive: Int32 = 1
    return unsafe sd_bus_message_read_basic(message, CChar(UInt8(ascii: "b")), &isActive) > 0 && isActive == 0
  }

  /// Connects to the system's manager through its private socket, without a bus in between.
  ///
  /// Only root may. Signals arrive there without a subscription, and it answers before dbus.service is up, when a call on the
  /// system bus would hang (systemd's dbus.c, `bus_init_private`).
  public static func privateSystemManager() throws(SystemError) -> Bus { try connect(to: "/run/systemd/private") }

  /// Connects to the manager of the calling user through its private socket, without a bus in between.
  public static func privateUserManager() throws(SystemError) -> Bus {
    try connect(to: UserRuntimeDirectory.path + "/systemd/private")
  }

  private static func connect(to path: String) throws(SystemError) -> Bus {
    var handle: OpaquePointer?
    try SystemError.check(unsafe sd_bus_new(&handle), "make a bus connection")
    guard let handle = unsafe handle else { throw SystemError("make a bus connection", code: ENOMEM) }
    let bus = unsafe Bus(handle)
    try SystemError.check(unsafe sd_bus_set_address(handle, "unix:path=\(path)"), "connect to", path: path)
    try SystemError.check(unsafe sd_bus_start(handle), "connect to", path: path)
    return bus
  }

  /// Connects to the system bus and subscribes to the manager's signals, without waiting for either.
  public static func systemBus() throws(SystemError) -> Bus {
    var handle: OpaquePointer?
    try SystemError.check(unsafe sd_bus_open_system(&handle), "connect to the system bus")
    guard let handle = unsafe handle else { throw SystemError("connect to the system bus", code: ENOMEM) }
    let bus = unsafe Bus(handle)
    try bus.subscribe()
    return bus
  }

  /// Connects to the user's bus and subscribes to the user manager's signals.
  public static func userBus() throws(SystemError) -> Bus {
    var handle: OpaquePointer?
    try SystemError.check(unsafe sd_bus_open_user(&handle), "connect to the user's bus")
    guard let handle = unsafe handle else { throw SystemError("connect to the user's bus", code: ENOMEM) }
    let bus = unsafe Bus(handle)
    try bus.subscribe()
    return bus
  }

  private init(_ handle: OpaquePointer) { unsafe self.handle = handle }

  deinit {
    unsafe sd_bus_detach_event(handle)
    unsafe sd_bus_slot_unref(slot)
    unsafe sd_bus_close_unref(handle)
  }

  private func subscribe() throws(SystemError) {
    var message: OpaquePointer?
    defer { unsafe sd_bus_message_unref(message) }
    try SystemError.check(
      unsafe sd_bus_message_new_method_call(
        handle, &message, Bus.managerName, Bus.managerPath, Bus.managerInterface, "Subscribe"),
      "subscribe to the service manager")
    try SystemError.check(
      unsafe sd_bus_call_async(handle, nil, message, { _, _, _ in 0 }, nil, 0), "subscribe to the service manager")
    let rule = "type='signal',sender='org.freedesktop.systemd1'"
    try SystemError.check(
      unsafe sd_bus_add_match_async(handle, nil, rule, { _, _, _ in 0 }, { _, _, _ in 0 }, nil),
      "subscribe to the service manager")
  }

  /// Takes its turn in the loop; calls back for each message that arrives, with the unit's state where it tells one, and
  /// once when the connection is gone.
  public func attach(
    to loop: EventLoop, onMessage: @escaping (UnitChange?) -> Void, onDisconnect: @escaping () -> Void
  ) throws(SystemError) {
    self.onMessage = onMessage
    self.onDisconnect = onDisconnect
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    try SystemError.check(
      unsafe sd_bus_add_filter(
        handle, &slot,
        { message, context, _ in
          guard let context = unsafe context else { return 0 }
          let bus = unsafe Unmanaged<Bus>.fromOpaque(context).takeUnretainedValue()
          if unsafe sd_bus_message_is_signal(message, "org.freedesktop.DBus.Local", "Disconnected") > 0 {
            bus.onDisconnect?()
          } else {
            unsafe bus.take(message)
          }
          return 0
        }, context), "listen on the bus")
    try SystemError.check(unsafe sd_bus_set_exit_on_disconnect(handle, 0), "listen on the bus")
    try unsafe loop.attach(handle)
  }

  // MARK: All units

  /// Called with each unit's state after `askForUnits`, and with that of a mount or swap that came up without a job.
  public var onUnitState: ((UnitChange) -> Void)?
  /// Called with the names of all loaded units after `askForUnits`, before their states.
  public var onUnitNames: ((Set<String>) -> Void)?

  /// Asks for the state of all units, without waiting for the answers.
  public func askForUnits() throws(SystemError) {
    let what = "ask the service manager for its units"
    var message: OpaquePointer?
    defer { unsafe sd_bus_message_unref(message) }
    try SystemError.check(
      unsafe sd_bus_message_new_method_call(
        handle, &message, Bus.managerName, Bus.managerPath, Bus.managerInterface, "ListUnits"), what)
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    try SystemError.check(
      unsafe sd_bus_call_async(
        handle, nil, message,
        { reply, context, _ in
          guard let context = unsafe context, unsafe sd_bus_message_is_method_error(reply, nil) == 0 else { return 0 }
          let bus = unsafe Unmanaged<Bus>.fromOpaque(context).takeUnretainedValue()
          unsafe bus.take(units: reply)
          return 0
        }, context, Bus.patience), what)
  }

  private func take(units reply: OpaquePointer?) {
    guard let names = unsafe Bus.names(of: reply) else { return }
    onUnitNames?(names)
    for name in names { try? askForState(of: name) }
  }

  /// The names in a list of units; nil if it cannot be read.
  static func names(of reply: OpaquePointer?) -> Set<String>? {
    var names: Set<String> = []
    guard unsafe sd_bus_message_enter_container(reply, CChar(UInt8(ascii: "a")), "(ssssssouso)") > 0 else { return nil }
    while unsafe sd_bus_message_enter_container(reply, CChar(UInt8(ascii: "r")), "ssssssouso") > 0 {
      var name: UnsafePointer<CChar>?
      guard unsafe sd_bus_message_read_basic(reply, CChar(UInt8(ascii: "s")), &name) > 0, let name = unsafe name,
        unsafe sd_bus_message_skip(reply, "sssssouso") >= 0, unsafe sd_bus_message_exit_container(reply) >= 0
      else { return nil }
      names.insert(unsafe String(cString: name))
    }
    return names
  }

  func askForState(of unit: String) throws(SystemError) {
    let message = try unsafe getAll(of: unit)
    defer { unsafe sd_bus_message_unref(message) }
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    try SystemError.check(
      unsafe sd_bus_call_async(
        handle, nil, message,
        { reply, context, _ in
          guard let context = unsafe context, unsafe sd_bus_message_is_method_error(reply, nil) == 0 else { return 0 }
          let bus = unsafe Unmanaged<Bus>.fromOpaque(context).takeUnretainedValue()
          if let change = unsafe UnitChangeReader.state(in: reply) { bus.onUnitState?(change) }
          return 0
        }, context, Bus.patience), "ask for the unit", path: unit)
  }

  private func getAll(of unit: String) throws(SystemError) -> OpaquePointer? {
    var path: UnsafeMutablePointer<CChar>?
    try SystemError.check(
      unsafe sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path), "name the unit", path: unit)
    defer { unsafe free(path) }
    var message: OpaquePointer?
    try SystemError.check(
      unsafe sd_bus_message_new_method_call(
        handle, &message, Bus.managerName, path, "org.freedesktop.DBus.Properties", "GetAll"), "ask for the unit",
      path: unit)
    let result = unsafe "\(Bus.managerName).Unit".withCString {
      unsafe sd_bus_message_append_basic(message, CChar(UInt8(ascii: "s")), $0)
    }
    if result < 0 { unsafe sd_bus_message_unref(message) }
    try SystemError.check(result, "ask for the unit", path: unit)
    return unsafe message
  }

  // MARK: Questions

  /// How long an answer may take, in microseconds: a manager that hangs must not hold up who asks.
  public static let patience: UInt64 = 2_000_000

  /// The LoadState of a unit: `loaded`, `not-found`, `masked`, … The manager loads it for that, if it is not.
  ///
  /// Waits for the answer, up to two seconds.
  public func loadState(of unit: String) throws(SystemError) -> String {
    try unsafe ask("LoadState", of: unit, "Unit", "s") { reply in
      var text: UnsafePointer<CChar>?
      unsafe sd_bus_message_read_basic(reply, CChar(UInt8(ascii: "s")), &text)
      return unsafe text.map { unsafe String(cString: $0) } ?? ""
    }
  }

  /// Whether a service stays active when its process has ended well (`RemainAfterExit=`); false for one that does not exist.
  ///
  /// Waits for the answer, up to two seconds.
  public func remainsAfterExit(_ service: String) throws(SystemError) -> Bool {
    try unsafe ask("RemainAfterExit", of: service, "Service", "b") { reply in
      var value: CInt = 0
      unsafe sd_bus_message_read_basic(reply, CChar(UInt8(ascii: "b")), &value)
      return value != 0
    }
  }

  /// The environment that the manager gives its units: `NAME=value`, as `systemctl show-environment` tells it.
  ///
  /// Waits for the answer, up to two seconds.
  public func managerEnvironment() throws(SystemError) -> [String] {
    try unsafe ask("Environment", at: Bus.managerPath, Bus.managerInterface, "as") { reply in
      var variables: [String] = []
      guard unsafe sd_bus_message_enter_container(reply, CChar(UInt8(ascii: "a")), "s") > 0 else { return [] }
      var text: UnsafePointer<CChar>?
      while unsafe sd_bus_message_read_basic(reply, CChar(UInt8(ascii: "s")), &text) > 0, let text = unsafe text {
        variables.append(unsafe String(cString: text))
      }
      return variables
    }
  }

  private func ask<Value>(
    _ property: String, of unit: String, _ interface: String, _ type: String, _ read: (OpaquePointer?) -> Value
  ) throws(SystemError) -> Value {
    var path: UnsafeMutablePointer<CChar>?
    try SystemError.check(
      unsafe sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path), "name the unit", path: unit)
    defer { unsafe free(path) }
    let object = unsafe path.map { unsafe String(cString: $0) } ?? ""
    return try unsafe ask(property, at: object, "\(Bus.managerName).\(interface)", type, read)
  }

  /// Asks for a property, and reads it out of the answer.
  private func ask<Value>(
    _ property: String, at path: String, _ interface: String, _ type: String, _ read: (OpaquePointer?) -> Value
  ) throws(SystemError) -> Value {
    let what = "ask the service manager for \(property)"
    var message: OpaquePointer?
    defer { unsafe sd_bus_message_unref(message) }
    try SystemError.check(
      unsafe sd_bus_message_new_method_call(
        handle, &message, Bus.managerName, path, "org.freedesktop.DBus.Properties", "Get"), what, path: path)
    for argument in [interface, property] {
      try SystemError.check(
        unsafe argument.withCString { unsafe sd_bus_message_append_basic(message, CChar(UInt8(ascii: "s")), $0) },
        what, path: path)
    }
    var reply: OpaquePointer?
    defer { unsafe sd_bus_message_unref(reply) }
    try SystemError.check(unsafe sd_bus_call(handle, message, Bus.patience, nil, &reply), what, path: path)
    try SystemError.check(
      unsafe sd_bus_message_enter_container(reply, CChar(UInt8(ascii: "v")), type), what, path: path)
    return unsafe read(reply)
  }

  static let managerName = "org.freedesktop.systemd1"
  static let managerPath = "/org/freedesktop/systemd1"
  static let managerInterface = "org.freedesktop.systemd1.Manager"
}

extension EventLoop {
  fileprivate func attach(_ bus: OpaquePointer) throws(SystemError) {
    try SystemError.check(unsafe sd_bus_attach_event(bus, rawHandle, 0), "attach the bus to the event loop")
  }
}
