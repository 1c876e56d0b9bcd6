/// The names that the service manager has for units, beside their primary ones (`Alias=` and links; systemd.unit(5)).
///
/// The manager logs only the primary name, so hooks that name another need this.
package struct UnitAliases: Sendable, Equatable {
  /// All names of a unit, by its primary name.
  private var names: [String: [String]] = [:]
  /// The primary names, by the others.
  private var primary: [String: String] = [:]

  package init() {}

  /// Takes note of a unit's names.
  ///
  /// - Parameter asked: the name by which the manager was asked; for a template's alias it may not list it.
  package mutating func note(_ unit: String, names: [String], asked: String? = nil) {
    let others = Set(names + (asked.map { [$0] } ?? [])).subtracting([unit]).sorted()
    guard !others.isEmpty else { return }
    self.names[unit] = others
    for name in others { primary[name] = unit }
  }

  /// The other names of a unit.
  package func names(of unit: String) -> [String] { names[unit] ?? [] }

  /// The unit that a name means.
  package func unit(named name: String) -> String { primary[name] ?? name }

  /// A name as people read it: `mysql.service (alias of mariadb.service)`.
  package func described(_ name: String) -> String {
    primary[name].map { "\(name) (alias of \($0))" } ?? name
  }
}
