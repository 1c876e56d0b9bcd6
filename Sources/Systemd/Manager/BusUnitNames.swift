internal import CSystemd
internal import Glibc

extension Bus {
  /// The names of all units that the manager has loaded, and of those with a file, templates among them.
  ///
  /// Waits for the answers, up to two seconds each. Units of which no file and nothing loaded was found are not among them.
  public func unitNames() throws(SystemError) -> Set<String> {
    // The names, paths and states (org.freedesktop.systemd1(5), "The Manager Object").
    let loaded = try list("ListUnits", "(ssssssouso)").filter { $0.states.first != "not-found" }
    let files = try list("ListUnitFiles", "(ss)")
    let names = files.map { String($0.name.split(separator: "/").last ?? "") }
    return Set(names + loaded.map(\.name))
  }

  private func list(_ method: String, _ row: String) throws(SystemError) -> [(name: String, states: [String])] {
    var message: OpaquePointer?
    var reply: OpaquePointer?
    defer {
      unsafe sd_bus_message_unref(message)
      unsafe sd_bus_message_unref(reply)
    }
    let operation = "ask the service manager for its units"
    try SystemError.check(
      unsafe sd_bus_message_new_method_call(
        handle, &message, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
        method), operation)
    try SystemError.check(unsafe sd_bus_call(handle, message, Bus.patience, nil, &reply), operation)
    let fields = String(row.dropFirst().dropLast())
    try SystemError.check(
      unsafe sd_bus_message_enter_container(reply, CChar(UInt8(ascii: "a")), row), operation)
    var rows: [(name: String, states: [String])] = []
    while unsafe sd_bus_message_enter_container(reply, CChar(UInt8(ascii: "r")), fields) > 0 {
      guard let name = unsafe BusPropertyReader.text(reply) else { break }
      // Of units the description comes first, then the states.
      var states: [String] = []
      if fields.count > 2 {
        _ = unsafe BusPropertyReader.text(reply)
        if let state = unsafe BusPropertyReader.text(reply) { states.append(state) }
      }
      let rest = String(fields.dropFirst(fields.count > 2 ? 3 : 1))
      try SystemError.check(unsafe sd_bus_message_skip(reply, rest), operation)
      try SystemError.check(unsafe sd_bus_message_exit_container(reply), operation)
      rows.append((name, states))
    }
    return rows
  }
}
