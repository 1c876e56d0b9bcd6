internal import CSystemd
internal import Glibc

/// Reads the manager's PropertiesChanged signals.
///
/// Of each change it sends two: "First for the specific type, then for the generic unit. The clients may rely on this order"
/// (systemd's dbus-unit.c). So the first is kept until the second comes.
struct UnitChangeReader {
  private var first: (unit: String, details: UnitChange.Details)?

  /// The change that a message completes; nil for all others.
  mutating func read(_ message: OpaquePointer?) -> UnitChange? {
    guard unsafe sd_bus_message_is_signal(message, "org.freedesktop.DBus.Properties", "PropertiesChanged") > 0,
      let unit = unsafe Self.unit(of: message), let interface = unsafe Self.text(message),
      interface.hasPrefix(Self.prefix)
    else { return nil }
    if interface != Self.prefix + "Unit" {
      var details = UnitChange.Details()
      first = unsafe Self.properties(message) { unsafe Self.read($0, $1, into: &details) } ? (unit, details) : nil
      return nil
    }
    var change = UnitChange(unit: unit, activeState: "")
    defer { first = nil }
    guard unsafe Self.properties(message, { unsafe Self.read($0, $1, into: &change) }), !change.activeState.isEmpty
    else { return nil }
    if let first, first.unit == unit { change.details = first.details }
    return change
  }

  /// The state in the answer to GetAll.
  static func state(in reply: OpaquePointer?) -> UnitChange? {
    var change = UnitChange(unit: "", activeState: "")
    guard unsafe properties(reply, { unsafe read($0, $1, into: &change) }), !change.unit.isEmpty,
      !change.activeState.isEmpty
    else { return nil }
    return change
  }

  private static let prefix = "org.freedesktop.systemd1."

  /// The unit whose object has sent the message.
  private static func unit(of message: OpaquePointer?) -> String? {
    guard let path = unsafe sd_bus_message_get_path(message) else { return nil }
    var name: UnsafeMutablePointer<CChar>?
    guard unsafe sd_bus_path_decode(path, "/org/freedesktop/systemd1/unit", &name) > 0, let name = unsafe name else {
      return nil
    }
    defer { unsafe free(name) }
    return unsafe String(cString: name)
  }

  /// Goes through the properties; false when the message cannot be read.
  private static func properties(
    _ message: OpaquePointer?, _ read: (String, OpaquePointer?) -> Bool
  ) -> Bool {
    guard unsafe sd_bus_message_enter_container(message, type("a"), "{sv}") > 0 else { return false }
    while unsafe sd_bus_message_enter_container(message, type("e"), "sv") > 0 {
      guard let key = unsafe text(message), unsafe read(key, message) else { return false }
      unsafe sd_bus_message_exit_container(message)
    }
    return true
  }

  // MARK: Properties

  private static func read(_ key: String, _ message: OpaquePointer?, into change: inout UnitChange) -> Bool {
    switch key {
    // Only in answers: it never changes.
    case "Id": unsafe variant(message, "s") { change.unit = unsafe text(message) ?? "" }
    case "ActiveState": unsafe variant(message, "s") { change.activeState = unsafe text(message) ?? "" }
    case "SubState": unsafe variant(message, "s") { change.subState = unsafe text(message) ?? "" }
    case "InvocationID":
      unsafe variant(message, "ay") {
        var bytes: UnsafeRawPointer?
        var count = 0
        guard unsafe sd_bus_message_read_array(message, type("y"), &bytes, &count) >= 0, count == 16,
          let bytes = unsafe bytes
        else { return }
        change.invocation = unsafe bytes.loadUnaligned(as: sd_id128_t.self).hexadecimal
      }
    case "Job":
      unsafe variant(message, "(uo)") {
        guard unsafe sd_bus_message_enter_container(message, type("r"), "uo") > 0 else { return }
        unsafe sd_bus_message_read_basic(message, type("u"), &change.job)
        unsafe sd_bus_message_skip(message, "o")
        unsafe sd_bus_message_exit_container(message)
      }
    case "InactiveExitTimestampMonotonic": unsafe number(message, "t", &change.inactiveExit)
    case "ActiveEnterTimestampMonotonic": unsafe number(message, "t", &change.activeEnter)
    case "ActiveExitTimestampMonotonic": unsafe number(message, "t", &change.activeExit)
    case "InactiveEnterTimestampMonotonic": unsafe number(message, "t", &change.inactiveEnter)
    default: unsafe sd_bus_message_skip(message, "v") >= 0
    }
  }

  private static func read(
    _ key: String, _ message: OpaquePointer?, into details: inout UnitChange.Details
  ) -> Bool {
    switch key {
    case "Result": unsafe variant(message, "s") { details.result = unsafe text(message) }
    case "NRestarts": unsafe number(message, "u", &details.nRestarts)
    case "ExecMainCode": unsafe number(message, "i", &details.exitCode)
    case "ExecMainStartTimestampMonotonic": unsafe number(message, "t", &details.mainStart)
    case "ExecMainStatus": unsafe number(message, "i", &details.exitStatus)
    default: unsafe sd_bus_message_skip(message, "v") >= 0
    }
  }

  private static func number<Number: FixedWidthInteger>(
    _ message: OpaquePointer?, _ letter: Unicode.Scalar, _ value: inout Number
  ) -> Bool {
    var read = value
    let isRead = unsafe variant(message, String(letter)) {
      _ = unsafe sd_bus_message_read_basic(message, type(letter), &read)
    }
    value = read
    return isRead
  }

  private static func variant(_ message: OpaquePointer?, _ contents: String, _ read: () -> Void) -> Bool {
    guard unsafe sd_bus_message_enter_container(message, type("v"), contents) > 0 else { return false }
    read()
    return unsafe sd_bus_message_exit_container(message) >= 0
  }

  private static func text(_ message: OpaquePointer?) -> String? {
    var text: UnsafePointer<CChar>?
    guard unsafe sd_bus_message_read_basic(message, type("s"), &text) > 0 else { return nil }
    return unsafe text.map { unsafe String(cString: $0) }
  }

  private static func type(_ letter: Unicode.Scalar) -> CChar { CChar(truncatingIfNeeded: letter.value) }
}
