internal import CSystemd
internal import Glibc

/// Questions to the service manager about itself and its units, with and without waiting for the answer.
///
/// To answer a question about a unit, the manager loads the unit if it has not loaded it yet.
extension Bus {
  // MARK: With waiting

  /// The status of a unit.
  ///
  /// - Parameter timeout: how long to wait for the answer, in microseconds.
  public func status(of unit: String, within timeout: UInt64 = callTimeout) throws(SystemError) -> UnitStatus {
    try UnitStatus(getAll("Unit", of: unit).reply(within: timeout) { $0.properties() }, asked: unit)
  }

  /// The ActiveState of a unit: `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, …
  ///
  /// Waits for the answer, up to two seconds.
  public func activeState(of unit: String) throws(SystemError) -> String { try status(of: unit).activeState }

  /// The LoadState of a unit: `loaded`, `not-found`, `masked`, …
  ///
  /// Waits for the answer, up to two seconds.
  public func loadState(of unit: String) throws(SystemError) -> String {
    try get("LoadState", of: unit, "Unit").reply { reply in
      if case .text(let state) = reply.property() { state } else { nil }
    }
  }

  /// Whether a service stays active after its process has exited without an error (`RemainAfterExit=`); false for a service
  /// that does not exist.
  ///
  /// Waits for the answer, up to two seconds.
  public func remainsAfterExit(_ service: String) throws(SystemError) -> Bool {
    try get("RemainAfterExit", of: service, "Service").reply { reply in
      if case .number(let flag) = reply.property() { flag != 0 } else { nil }
    }
  }

  /// The manager's own properties, of org.freedesktop.systemd1.Manager.
  ///
  /// Waits for the answer, up to two seconds.
  public func managerProperties() throws(SystemError) -> BusProperties {
    try getAllOfManager().reply { $0.properties() }
  }

  /// The environment that the manager passes to its units, as `NAME=value`: that of `systemctl show-environment`.
  ///
  /// Waits for the answer, up to two seconds.
  public func managerEnvironment() throws(SystemError) -> [String] {
    let call = try propertyCall("Get", at: Bus.managerPath, about: "itself", [Bus.managerInterface, "Environment"])
    return try call.reply { reply in if case .texts(let variables) = reply.property() { variables } else { nil } }
  }

  /// The names of all units that are loaded or have a unit file, including templates. Loaded units without a unit file that
  /// the manager could not find (`not-found`) are left out.
  ///
  /// Waits for two answers, up to two seconds each.
  public func unitNames() throws(SystemError) -> Set<String> {
    let loaded = try listUnits("ListUnits").reply { $0.unitList() }.filter { $0.loadState != "not-found" }
    let files = try listUnits("ListUnitFiles").reply { $0.unitFileList() }
    return Set(files.map { String($0.split(separator: "/").last ?? "") } + loaded.map(\.name))
  }

  // MARK: Without waiting

  /// Asks for the status of a unit. The event loop calls `answer`, except if the connection ends before.
  public func askStatus(
    of unit: String, then answer: @escaping (Result<UnitStatus, SystemError>) -> Void
  ) throws(SystemError) {
    try getAll("Unit", of: unit).send(within: Bus.longCallTimeout, { $0.properties() }) { reply in
      answer(reply.map { UnitStatus($0, asked: unit) })
    }
  }

  /// Asks for the `Result` of a unit, which only some types have. The event loop calls `answer`, except if the connection ends
  /// before.
  public func askResult(
    of unit: String, then answer: @escaping (Result<String, SystemError>) -> Void
  ) throws(SystemError) {
    try get("Result", of: unit, UnitName(unit).busInterface).send(within: Bus.longCallTimeout, { $0.property() }) {
      answer($0.map { value in if case .text(let result) = value { result } else { "" } })
    }
  }

  /// Asks for the manager's own properties. The event loop calls `answer`, except if the connection ends before.
  public func askManager(then answer: @escaping (Result<BusProperties, SystemError>) -> Void) throws(SystemError) {
    try getAllOfManager().send(within: Bus.longCallTimeout, { $0.properties() }, then: answer)
  }

  /// Asks for the states of all units. The event loop calls `onUnitNames` and then `onUnitState` with the answers.
  public func askForUnits() throws(SystemError) {
    try listUnits("ListUnits").send({ $0.unitList() }) { [unowned self] reply in
      guard let units = try? reply.get() else { return }
      let names = Set(units.map(\.name))
      onUnitNames?(names)
      for name in names { try? askForState(of: name) }
    }
  }

  /// Asks for the state of a unit. The event loop calls `onUnitState` with the answer.
  func askForState(of unit: String) throws(SystemError) {
    try getAll("Unit", of: unit).send({ UnitChangeReader.state(in: $0) }) { [unowned self] reply in
      if let change = try? reply.get() { onUnitState?(change) }
    }
  }

  // MARK: The calls

  func listUnits(_ method: String) throws(SystemError) -> BusCall {
    try BusCall(self, method, for: "ask the service manager for its units")
  }

  private func get(_ property: String, of unit: String, _ interface: String) throws(SystemError) -> BusCall {
    try propertyCall("Get", at: unitPath(unit), about: unit, ["\(Bus.managerName).\(interface)", property])
  }

  private func getAll(_ interface: String, of unit: String) throws(SystemError) -> BusCall {
    try propertyCall("GetAll", at: unitPath(unit), about: unit, ["\(Bus.managerName).\(interface)"])
  }

  private func getAllOfManager() throws(SystemError) -> BusCall {
    try propertyCall("GetAll", at: Bus.managerPath, about: "itself", [Bus.managerInterface])
  }

  private static let question = "ask the service manager about"

  private func propertyCall(
    _ method: String, at path: String, about subject: String, _ arguments: [String]
  ) throws(SystemError) -> BusCall {
    let call = try BusCall(
      self, method, at: path, interface: Bus.propertiesInterface, for: Bus.question, about: subject)
    for argument in arguments { try call.append(argument) }
    return call
  }

  private func unitPath(_ unit: String) throws(SystemError) -> String {
    var path: UnsafeMutablePointer<CChar>?
    defer { unsafe free(path) }
    try SystemError.check(unsafe sd_bus_path_encode(Bus.unitPrefix, unit, &path), Bus.question, path: unit)
    return unsafe path.map { unsafe String(cString: $0) } ?? ""
  }
}

/// The lists of units that the manager returns (org.freedesktop.systemd1(5), "The Manager Object").
extension BusReader {
  /// Reads the reply to `ListUnits`: the names of units and their LoadStates.
  func unitList() -> [(name: String, loadState: String)]? {
    rows("ssssssouso") {
      guard let name = text(), skip("s"), let loadState = text(), skip("sssouso") else { return nil }
      return (name, loadState)
    }
  }

  /// Reads the reply to `ListUnitFiles`: the paths of unit files.
  func unitFileList() -> [String]? {
    rows("ss") {
      guard let path = text(), skip("s") else { return nil }
      return path
    }
  }

  /// Reads an array of structures; nil if it is malformed.
  private func rows<Row>(_ fields: String, _ read: () -> Row?) -> [Row]? {
    guard enter("a", "(\(fields))") else { return nil }
    var rows: [Row] = []
    while enter("r", fields) {
      guard let row = read(), exit() else { return nil }
      rows.append(row)
    }
    return rows
  }
}

extension UnitName {
  /// The D-Bus interface for units of this type, without its prefix: `Service`, `Socket`, …
  fileprivate var busInterface: String {
    let suffix = suffix ?? "service"
    return (suffix.first?.uppercased() ?? "") + suffix.dropFirst()
  }
}
