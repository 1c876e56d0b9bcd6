internal import EventReading
internal import Glibc
internal import Hooks
internal import Lifecycle
internal import Systemd

/// The `Condition…=` keys of a hook, asked when its run is about to begin.
struct ConditionCheck {
  /// Whose units `ConditionUnitActive=` asks for.
  let manager: Manager
  /// The service manager, once it was asked for.
  private let connection = Connection()

  private final class Connection {
    var bus: Bus?
  }

  init(manager: Manager) { self.manager = manager }

  /// The condition that keeps a run from beginning; nil if none does.
  ///
  /// As in systemd.unit(5), all must hold; of those with `|`, if there are any, one is enough.
  ///
  /// - Throws: why a condition could not be asked.
  func firstUnmet(of definition: HookDefinition, for event: LifecycleEvent) throws -> String? {
    for condition in definition.conditions where !condition.isTriggering {
      if try !holds(condition, event) { return describe(condition, event) }
    }
    let triggering = definition.conditions.filter(\.isTriggering)
    for condition in triggering where try holds(condition, event) { return nil }
    return triggering.isEmpty ? nil : triggering.map { describe($0, event) }.joined(separator: ", ")
  }

  private func describe(_ condition: HookCondition, _ event: LifecycleEvent) -> String {
    let marks = (condition.isTriggering ? "|" : "") + (condition.isNegated ? "!" : "")
    return "\(condition.kind.rawValue)=\(marks)\(condition.parameter.expand(for: event))"
  }

  private func holds(_ condition: HookCondition, _ event: LifecycleEvent) throws -> Bool {
    let value = condition.parameter.expand(for: event)
    let result =
      switch condition.kind {
      case .pathExists: status(of: value) != nil
      case .pathIsDirectory: status(of: value).map { $0.st_mode & S_IFMT == S_IFDIR } ?? false
      case .fileNotEmpty: status(of: value).map { $0.st_mode & S_IFMT == S_IFREG && $0.st_size > 0 } ?? false
      case .fileIsExecutable:
        status(of: value).map { $0.st_mode & S_IFMT == S_IFREG && $0.st_mode & 0o111 != 0 } ?? false
      case .host: try isThisHost(value)
      case .unitActive: try isActive(value)
      }
    return result != condition.isNegated
  }

  private func status(of path: String) -> stat? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? status : nil
  }

  /// A machine id, or a pattern of host names.
  private func isThisHost(_ value: String) throws -> Bool {
    if value.utf8.count == 32, value.allSatisfy(\.isHexDigit) { return try value.lowercased() == Id128.machine() }
    return hostName().map(Glob(value, ignoringCase: true).matches) ?? false
  }

  private func isActive(_ value: String) throws -> Bool {
    let unit = UnitName(value).suffix == nil ? value + ".service" : value
    return ConditionCheck.active.contains(try status(ofUnit: unit).activeState)
  }

  /// Whether the manager has a job for a unit that is not up: it is about to be started. false where that cannot be asked.
  func hasJob(_ unit: String) -> Bool {
    guard let status = try? status(ofUnit: unit) else { return false }
    return status.job != 0 && !ConditionCheck.active.contains(status.activeState)
  }

  private func status(ofUnit unit: String) throws -> UnitStatus {
    // A connection that was lost is made again, once.
    if let bus = connection.bus, let status = try? bus.status(of: unit) { return status }
    connection.bus = ManagerConnection.open(to: manager)
    guard let bus = connection.bus else {
      throw SystemError("ask the service manager about", path: unit, code: ENOTCONN)
    }
    return try bus.status(of: unit)
  }

  private static let active = ["active", "reloading", "refreshing"]
}
