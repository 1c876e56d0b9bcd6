internal import CSystemd

/// Mounts and swaps that come up without a job.
///
/// What mount(8) mounts and swapon(8) adds is up when the manager first has it: it logs nothing, and on the bus tells only that there
/// is such a unit (`UnitNew`). To ask for such a unit by its name would have the manager load what it has not, and unload it
/// again: that is a new unit each time, without end. `ListUnitsByPatterns` loads nothing.
extension Bus {
  /// Takes note of a message that may tell of a new unit.
  func noteNewUnit(in message: OpaquePointer?) {
    guard onUnitState != nil, unsafe sd_bus_message_is_signal(message, Bus.managerInterface, "UnitNew") > 0,
      let unit = unsafe BusPropertyReader.text(message), unit.hasSuffix(".mount") || unit.hasSuffix(".swap")
    else { return }
    newUnits.insert(unit)
    askForNewUnits()
  }

  /// Asks which of the new units are active, and for the state of those; without waiting for the answers.
  private func askForNewUnits() {
    guard !isAskingForNewUnits, !newUnits.isEmpty else { return }
    // Names hold no character that a pattern gives a meaning: the manager takes `\` as it is (FNM_NOESCAPE).
    let patterns = newUnits.sorted()
    newUnits = []
    var message: OpaquePointer?
    defer { unsafe sd_bus_message_unref(message) }
    guard
      unsafe sd_bus_message_new_method_call(
        handle, &message, Bus.managerName, Bus.managerPath, Bus.managerInterface, "ListUnitsByPatterns") >= 0,
      unsafe append(["active"], to: message), unsafe append(patterns, to: message)
    else { return }
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    isAskingForNewUnits =
      unsafe sd_bus_call_async(
        handle, nil, message,
        { reply, context, _ in
          guard let context = unsafe context else { return 0 }
          let bus = unsafe Unmanaged<Bus>.fromOpaque(context).takeUnretainedValue()
          bus.isAskingForNewUnits = false
          // systemd before 230 has no such call.
          if unsafe sd_bus_message_is_method_error(reply, nil) == 0 {
            for unit in unsafe Bus.names(of: reply) ?? [] { try? bus.askForState(of: unit) }
          }
          bus.askForNewUnits()
          return 0
        }, context, Bus.patience) >= 0
  }

  private func append(_ texts: [String], to message: OpaquePointer?) -> Bool {
    guard unsafe sd_bus_message_open_container(message, CChar(UInt8(ascii: "a")), "s") >= 0 else { return false }
    for text in texts {
      let result = unsafe text.withCString {
        unsafe sd_bus_message_append_basic(message, CChar(UInt8(ascii: "s")), $0)
      }
      if result < 0 { return false }
    }
    return unsafe sd_bus_message_close_container(message) >= 0
  }
}
