/// Mounts and swaps that become active without a job.
///
/// A mount of mount(8) or a swap of swapon(8) is active when the manager first loads its unit. The manager then logs nothing,
/// and sends only the signal `UnitNew`. A question about such a unit by its name would make the manager load units that it has
/// not loaded, and unload them again, which causes another `UnitNew`, and so on without end. `ListUnitsByPatterns` loads no
/// units.
extension Bus {
  /// Notes the unit in a `UnitNew` signal, if it is a mount or a swap.
  func noteNewUnit(in message: BusReader) {
    guard onUnitState != nil, message.isSignal(Bus.managerInterface, "UnitNew"), let unit = message.text(),
      unit.hasSuffix(".mount") || unit.hasSuffix(".swap")
    else { return }
    newUnits.insert(unit)
    askForNewUnits()
  }

  /// Asks which of the new units are active, and then for the states of those.
  private func askForNewUnits() {
    guard !isAskingForNewUnits, !newUnits.isEmpty else { return }
    // A unit name is a pattern that matches only itself: the manager takes a backslash literally (FNM_NOESCAPE), and names
    // contain no other special characters.
    let patterns = newUnits.sorted()
    newUnits = []
    isAskingForNewUnits = true
    do throws(SystemError) {
      let call = try listUnits("ListUnitsByPatterns")
      try call.append(["active"])
      try call.append(patterns)
      try call.send({ $0.unitList() }) { [unowned self] reply in
        isAskingForNewUnits = false
        // systemd before 230 has no such method; then nothing is asked.
        for unit in (try? reply.get()) ?? [] { try? askForState(of: unit.name) }
        askForNewUnits()
      }
    } catch {
      isAskingForNewUnits = false
    }
  }
}
