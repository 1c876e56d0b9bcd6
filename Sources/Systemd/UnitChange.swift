internal import CSystemd
internal import Glibc

/// What the service manager's PropertiesChanged signal says of a unit's state (org.freedesktop.systemd1(5)).
///
/// The manager sends it after changes of any kind, and joins several: it tells where the unit is, and the timestamps tell how
/// it came there.
public struct UnitChange: Sendable, Equatable {
  /// The unit's primary name.
  public var unit: String
  /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, …
  public var activeState: String
  /// 32 hexadecimal digits; nil before systemd 232 and for units that never ran.
  public var invocation: String?
  /// When the unit last became active, in microseconds since boot; 0 if never.
  public var activeEnter: UInt64 = 0
  /// When it last ceased to be active.
  public var activeExit: UInt64 = 0
  /// When it last became inactive or failed.
  public var inactiveEnter: UInt64 = 0

  /// Makes a change by hand, for tests.
  public init(unit: String, activeState: String) {
    self.unit = unit
    self.activeState = activeState
  }
}

extension UnitChange {
  private static let unitInterface = "org.freedesktop.systemd1.Unit"

  /// Reads a signal; nil for every other message.
  init?(_ message: OpaquePointer?) {
    guard unsafe sd_bus_message_is_signal(message, "org.freedesktop.DBus.Properties", "PropertiesChanged") > 0,
      let path = unsafe sd_bus_message_get_path(message)
    else { return nil }
    var name: UnsafeMutablePointer<CChar>?
    guard unsafe sd_bus_path_decode(path, "/org/freedesktop/systemd1/unit", &name) > 0, let name = unsafe name else {
      return nil
    }
    defer { unsafe free(name) }
    self.init(unit: unsafe String(cString: name), activeState: "")
    guard unsafe UnitChange.text(message) == UnitChange.unitInterface,
      unsafe sd_bus_message_enter_container(message, UnitChange.type("a"), "{sv}") > 0
    else { return nil }
    while unsafe sd_bus_message_enter_container(message, UnitChange.type("e"), "sv") > 0 {
      guard let key = unsafe UnitChange.text(message), unsafe read(key, message) else { return nil }
      unsafe sd_bus_message_exit_container(message)
    }
    if activeState.isEmpty { return nil }
  }

  /// Takes one property's value; false when the message cannot be read.
  private mutating func read(_ key: String, _ message: OpaquePointer?) -> Bool {
    switch key {
    case "ActiveState":
      guard unsafe sd_bus_message_enter_container(message, UnitChange.type("v"), "s") > 0 else { return false }
      activeState = unsafe UnitChange.text(message) ?? ""
    case "InvocationID":
      guard unsafe sd_bus_message_enter_container(message, UnitChange.type("v"), "ay") > 0 else { return false }
      var bytes: UnsafeRawPointer?
      var count = 0
      guard unsafe sd_bus_message_read_array(message, UnitChange.type("y"), &bytes, &count) >= 0 else { return false }
      if count == 16, let bytes = unsafe bytes {
        invocation = unsafe bytes.loadUnaligned(as: sd_id128_t.self).hexadecimal
      }
    case "ActiveEnterTimestampMonotonic", "ActiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic":
      guard unsafe sd_bus_message_enter_container(message, UnitChange.type("v"), "t") > 0 else { return false }
      var time: UInt64 = 0
      guard unsafe sd_bus_message_read_basic(message, UnitChange.type("t"), &time) > 0 else { return false }
      if key.hasPrefix("ActiveEnter") { activeEnter = time }
      if key.hasPrefix("ActiveExit") { activeExit = time }
      if key.hasPrefix("InactiveEnter") { inactiveEnter = time }
    default:
      return unsafe sd_bus_message_skip(message, "v") >= 0
    }
    return unsafe sd_bus_message_exit_container(message) >= 0
  }

  private static func text(_ message: OpaquePointer?) -> String? {
    var text: UnsafePointer<CChar>?
    guard unsafe sd_bus_message_read_basic(message, type("s"), &text) > 0 else { return nil }
    return unsafe text.map { unsafe String(cString: $0) }
  }

  private static func type(_ letter: Unicode.Scalar) -> CChar { CChar(truncatingIfNeeded: letter.value) }
}
