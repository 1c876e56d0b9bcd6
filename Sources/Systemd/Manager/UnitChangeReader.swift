internal import CSystemd
internal import Glibc

/// Reads the manager's PropertiesChanged signals.
///
/// The manager sends two signals for each change: "First for the specific type, then for the generic unit. The clients may rely
/// on this order" (systemd's dbus-unit.c). So the details of the first are kept until the second comes.
struct UnitChangeReader {
  private var first: (unit: String, details: UnitChange.Details)?

  /// The change that is complete with this message; nil for the first signal of a change and for all other messages.
  mutating func read(_ message: BusReader) -> UnitChange? {
    guard message.isSignal(Bus.propertiesInterface, "PropertiesChanged"), let unit = Self.unit(of: message),
      let interface = message.text(), interface.hasPrefix("\(Bus.managerName).")
    else { return nil }
    if interface != "\(Bus.managerName).Unit" {
      first = message.properties(Self.detailProperties).map { (unit, UnitChange.Details($0)) }
      return nil
    }
    defer { first = nil }
    guard let properties = message.properties(Self.unitProperties),
      var change = UnitChange(properties, unit: unit)
    else { return nil }
    if let first, first.unit == unit { change.details = first.details }
    return change
  }

  /// The state of a unit in the reply to GetAll; nil if the reply is malformed.
  static func state(in reply: BusReader) -> UnitChange? {
    guard let properties = reply.properties(unitProperties) else { return nil }
    let unit = properties.text("Id")
    return unit.isEmpty ? nil : UnitChange(properties, unit: unit)
  }

  private static let unitProperties: Set = [
    "Id", "ActiveState", "SubState", "InvocationID", "Job", "InactiveExitTimestampMonotonic",
    "ActiveEnterTimestampMonotonic", "ActiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic",
  ]

  private static let detailProperties: Set = [
    "Result", "NRestarts", "ExecMainCode", "ExecMainStatus", "ExecMainStartTimestampMonotonic",
  ]

  /// The unit whose object has sent the signal.
  private static func unit(of message: BusReader) -> String? {
    guard let path = message.path else { return nil }
    var name: UnsafeMutablePointer<CChar>?
    guard unsafe sd_bus_path_decode(path, Bus.unitPrefix, &name) > 0, let name = unsafe name else { return nil }
    defer { unsafe free(name) }
    return unsafe String(cString: name)
  }
}

extension UnitChange {
  /// Makes a change from the properties of org.freedesktop.systemd1.Unit; nil without an ActiveState.
  fileprivate init?(_ properties: BusProperties, unit: String) {
    let state = properties.text("ActiveState")
    guard !state.isEmpty else { return nil }
    self.init(unit: unit, activeState: state)
    subState = properties.text("SubState")
    invocation = properties.id("InvocationID")
    job = UInt32(truncatingIfNeeded: properties.number("Job"))
    inactiveExit = properties.number("InactiveExitTimestampMonotonic")
    activeEnter = properties.number("ActiveEnterTimestampMonotonic")
    activeExit = properties.number("ActiveExitTimestampMonotonic")
    inactiveEnter = properties.number("InactiveEnterTimestampMonotonic")
  }
}

extension UnitChange.Details {
  /// Takes the details from the properties of a unit type's interface.
  fileprivate init(_ properties: BusProperties) {
    self.init()
    if case .text(let text) = properties["Result"] { result = text }
    nRestarts = UInt32(truncatingIfNeeded: properties.number("NRestarts"))
    exitCode = Int32(truncatingIfNeeded: properties.number("ExecMainCode"))
    exitStatus = Int32(truncatingIfNeeded: properties.number("ExecMainStatus"))
    mainStart = properties.number("ExecMainStartTimestampMonotonic")
  }
}
