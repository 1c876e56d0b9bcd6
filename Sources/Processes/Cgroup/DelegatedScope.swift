import CSystemd
import Glibc
package import Systemd

/// A scope unit for a daemon that does not run as a service, and so has no delegated cgroup. It must not make cgroups in the
/// scope of a login session, because systemd manages that one.
package enum DelegatedScope {
  /// Asks the service manager to start `journalhook-PID.scope` with Delegate=yes, and waits until this process is in it.
  ///
  /// The call goes through the manager's private socket, which exists before the bus does, and which only the manager's user
  /// may use.
  package static func enter(timeoutMilliseconds: Int = 3000) throws(SystemError) -> CgroupRoot {
    let unit = "journalhook-\(getpid()).scope"
    let socket = geteuid() == 0 ? "/run/systemd/private" : UserRuntimeDirectory.path + "/systemd/private"
    do {
      try start(unit, socket: socket, collect: true, timeoutMilliseconds)
    } catch  where error.code != ENOENT && error.code != ECONNREFUSED && error.code != ETIMEDOUT {
      // systemd before 236 has no CollectMode=.
      try start(unit, socket: socket, collect: false, timeoutMilliseconds)
    }
    // The reply means that the job is queued. The job moves this process within milliseconds.
    for _ in 0..<max(1, timeoutMilliseconds / 5) {
      if let root = CgroupRoot.current(), root.name.hasSuffix("/" + unit) { return root }
      _ = poll(nil, 0, 5)
    }
    throw SystemError("wait for the scope", path: unit, code: ETIMEDOUT)
  }

  private static func start(_ unit: String, socket: String, collect: Bool, _ timeoutMilliseconds: Int)
    throws(SystemError)
  {
    var bus: OpaquePointer?
    try SystemError.check(unsafe sd_bus_new(&bus), "make a bus connection")
    defer { unsafe sd_bus_close_unref(bus) }
    try SystemError.check(unsafe sd_bus_set_address(bus, "unix:path=" + socket), "connect", path: socket)
    try SystemError.check(unsafe sd_bus_start(bus), "connect", path: socket)

    var message: OpaquePointer?
    // The peer is the manager itself, so the message needs no destination.
    try SystemError.check(
      unsafe sd_bus_message_new_method_call(
        bus, &message, nil, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "StartTransientUnit"),
      "ask for a scope")
    defer { unsafe sd_bus_message_unref(message) }
    var body = unsafe Body(message: message)
    // "ssa(sv)a(sa(sv))": name, mode, properties, auxiliary units
    body.append(unit)
    body.append("fail")
    body.container("a", "(sv)") { body in
      body.property("Description", "s") { $0.append("journalhook, started by hand") }
      body.property("Delegate", "b") { $0.append(true) }
      if collect { body.property("CollectMode", "s") { $0.append("inactive-or-failed") } }
      body.property("PIDs", "au") { body in
        body.container("a", "u") { $0.append(UInt32(getpid())) }
      }
    }
    body.container("a", "(sa(sv))") { _ in }
    try SystemError.check(body.result, "ask for a scope", path: unit)
    let limit = UInt64(timeoutMilliseconds) * 1000
    try SystemError.check(unsafe sd_bus_call(bus, message, limit, nil, nil), "ask for a scope", path: unit)
  }
}

/// Appends the arguments of a call to a message, and keeps the first error.
@safe private struct Body {
  private let message: OpaquePointer?
  private(set) var result: Int32 = 0

  init(message: OpaquePointer?) { unsafe self.message = unsafe message }

  mutating func append(_ text: String) {
    note(unsafe text.withCString { unsafe sd_bus_message_append_basic(message, busType("s"), $0) })
  }

  mutating func append(_ flag: Bool) {
    var value: Int32 = flag ? 1 : 0
    note(unsafe sd_bus_message_append_basic(message, busType("b"), &value))
  }

  mutating func append(_ number: UInt32) {
    var value = number
    note(unsafe sd_bus_message_append_basic(message, busType("u"), &value))
  }

  mutating func container(_ type: Unicode.Scalar, _ contents: String, _ body: (inout Body) -> Void) {
    note(unsafe sd_bus_message_open_container(message, busType(type), contents))
    body(&self)
    note(unsafe sd_bus_message_close_container(message))
  }

  mutating func property(_ name: String, _ type: String, _ value: (inout Body) -> Void) {
    container("r", "sv") { body in
      body.append(name)
      body.container("v", type, value)
    }
  }

  private mutating func note(_ next: Int32) {
    if result >= 0 && next < 0 { result = next }
  }
}
