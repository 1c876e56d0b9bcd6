internal import CSystemd
internal import Glibc

/// A connection to the service manager's D-Bus interface.
///
/// It has two uses. The manager's signals come up to 250 ms earlier than journald's own notification of new entries, so each
/// signal is a reason to read the journal at once. And the manager can be asked for the states of units. The corresponding C
/// object is `sd_bus`.
@safe public final class Bus: @unchecked Sendable {
  let handle: OpaquePointer
  /// The calls that wait for their replies.
  var pendingCalls: [ObjectIdentifier: PendingBusCall] = [:]
  /// Mounts and swaps that the manager has loaded, and whose states were not asked for yet.
  var newUnits: Set<String> = []
  var isAskingForNewUnits = false
  private var filter: OpaquePointer?
  private var onMessage: ((UnitChange?) -> Void)?
  private var onDisconnect: (() -> Void)?
  private var changes = UnitChangeReader()

  /// Called with true when a job for shutdown.target is queued, and with false when that job is removed.
  public var onShutdown: ((Bool) -> Void)?
  /// Called after a daemon-reload.
  public var onReload: (() -> Void)?
  /// Called when a job is queued or removed, with its number, its unit, and if it is removed, its result (`done`, `canceled`,
  /// …).
  public var onJob: ((_ id: UInt32, _ unit: String, _ result: String?) -> Void)?
  /// Called with the state of each unit after `askForUnits`, and with that of a mount or swap that became active without a job.
  public var onUnitState: ((UnitChange) -> Void)?
  /// Called with the names of all loaded units after `askForUnits`, before their states.
  public var onUnitNames: ((Set<String>) -> Void)?

  /// How long a call waits for its reply by default, in microseconds. A manager that hangs must not hold up the caller for
  /// longer.
  public static let callTimeout: UInt64 = 2_000_000
  /// How long a call waits for its reply if nothing waits for the call, in microseconds.
  static let longCallTimeout = callTimeout * 15

  static let managerName = "org.freedesktop.systemd1"
  static let managerPath = "/org/freedesktop/systemd1"
  static let managerInterface = "org.freedesktop.systemd1.Manager"
  static let propertiesInterface = "org.freedesktop.DBus.Properties"
  static let unitPrefix = "/org/freedesktop/systemd1/unit"

  private init(_ handle: OpaquePointer) { unsafe self.handle = handle }

  deinit {
    unsafe sd_bus_detach_event(handle)
    unsafe sd_bus_slot_unref(filter)
    unsafe sd_bus_close_unref(handle)
  }

  // MARK: Connections

  /// Connects to the service manager of the system through its private socket, without a bus in between.
  ///
  /// Only root may do this. The manager sends its signals there without a subscription, and it answers before dbus.service is
  /// up, when a call on the system bus would hang (systemd's dbus.c, `bus_init_private`).
  public static func privateSystemManager() throws(SystemError) -> Bus { try connect(to: "/run/systemd/private") }

  /// Connects to the service manager of the calling user through its private socket, without a bus in between.
  public static func privateUserManager() throws(SystemError) -> Bus {
    try connect(to: UserRuntimeDirectory.path + "/systemd/private")
  }

  /// Connects to a manager through the socket at a path.
  static func connect(to path: String) throws(SystemError) -> Bus {
    let bus = try unsafe open("make a bus connection") { handle in unsafe sd_bus_new(&handle) }
    try SystemError.check(unsafe sd_bus_set_address(bus.handle, "unix:path=\(path)"), "connect to", path: path)
    try SystemError.check(unsafe sd_bus_start(bus.handle), "connect to", path: path)
    return bus
  }

  /// Connects to the system bus and subscribes to the signals of the service manager, without waiting for either.
  public static func systemBus() throws(SystemError) -> Bus {
    let bus = try unsafe open("connect to the system bus") { handle in unsafe sd_bus_open_system(&handle) }
    try bus.subscribe()
    return bus
  }

  /// Connects to the bus of the calling user and subscribes to the signals of that user's service manager.
  public static func userBus() throws(SystemError) -> Bus {
    let bus = try unsafe open("connect to the user's bus") { handle in unsafe sd_bus_open_user(&handle) }
    try bus.subscribe()
    return bus
  }

  private static func open(
    _ operation: String, _ open: (inout OpaquePointer?) -> CInt
  ) throws(SystemError) -> Bus {
    var handle: OpaquePointer?
    try SystemError.check(unsafe open(&handle), operation)
    guard let handle = unsafe handle else { throw SystemError(operation, code: ENOMEM) }
    return unsafe Bus(handle)
  }

  private func subscribe() throws(SystemError) {
    let operation = "subscribe to the service manager"
    try BusCall(self, "Subscribe", for: operation).send(within: 0, { _ in () }) { _ in }
    let rule = "type='signal',sender='\(Bus.managerName)'"
    try SystemError.check(
      unsafe sd_bus_add_match_async(handle, nil, rule, { _, _, _ in 0 }, { _, _, _ in 0 }, nil), operation)
  }

  /// Attaches the connection to an event loop.
  ///
  /// - Parameters:
  ///   - onMessage: called for each message that arrives, with the state of a unit if the message reports one.
  ///   - onDisconnect: called once, when the connection has ended.
  public func attach(
    to loop: EventLoop, onMessage: @escaping (UnitChange?) -> Void, onDisconnect: @escaping () -> Void
  ) throws(SystemError) {
    self.onMessage = onMessage
    self.onDisconnect = onDisconnect
    let operation = "listen on the bus"
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    try SystemError.check(
      unsafe sd_bus_add_filter(
        handle, &filter,
        { message, context, _ in
          guard let context = unsafe context else { return 0 }
          let bus = unsafe Unmanaged<Bus>.fromOpaque(context).takeUnretainedValue()
          bus.take(unsafe BusReader(message))
          return 0
        }, context), operation)
    try SystemError.check(unsafe sd_bus_set_exit_on_disconnect(handle, 0), operation)
    try SystemError.check(unsafe sd_bus_attach_event(handle, loop.rawHandle, 0), "attach the bus to the event loop")
  }

  // MARK: Messages

  private func take(_ message: BusReader) {
    if message.isSignal("org.freedesktop.DBus.Local", "Disconnected") {
      onDisconnect?()
      return
    }
    if let job = Bus.job(in: message) {
      if job.unit == "shutdown.target" { onShutdown?(job.result == nil) }
      onJob?(job.id, job.unit, job.result)
    }
    noteNewUnit(in: message)
    if Bus.isReloaded(message) { onReload?() }
    onMessage?(changes.read(message))
  }

  /// The job that a message reports as queued or removed; nil for every other message.
  private static func job(in message: BusReader) -> (id: UInt32, unit: String, result: String?)? {
    let isNew = message.isSignal(managerInterface, "JobNew")
    guard isNew || message.isSignal(managerInterface, "JobRemoved"), let id = message.number("u", as: UInt32.self),
      message.skip("o"), let unit = message.text()
    else { return nil }
    return (id, unit, isNew ? nil : message.text() ?? "")
  }

  /// Whether a message reports the end of a daemon-reload.
  private static func isReloaded(_ message: BusReader) -> Bool {
    message.isSignal(managerInterface, "Reloading") && message.number("b", as: CInt.self) == 0
  }
}
