internal import EventReading
internal import Glibc
package import HookFiles
package import Hooks
package import Lifecycle
internal import Systemd

extension ManagerConnection {
  /// What the units that hooks mention are called otherwise; empty without a manager that answers within two seconds.
  package static func aliases(of hooks: HookStore, manager: Manager) -> UnitAliases {
    aliases(of: hooks.hooks.map(\.hook), manager: manager)
  }

  /// What the units that hooks mention are called otherwise; empty without a manager that answers within two seconds.
  package static func aliases(of hooks: [Hook], manager: Manager) -> UnitAliases {
    let units = hooks.mentionedUnits
    guard !units.isEmpty, let bus = open(to: manager) else { return UnitAliases() }
    var aliases = UnitAliases()
    let end = Clock.monotonic() + Bus.callTimeout
    for unit in units {
      let now = Clock.monotonic()
      guard now < end else { break }
      do {
        let status = try bus.status(of: unit, within: end - now)
        aliases.note(status.unit, names: status.names, asked: unit)
      } catch {
        if [ETIMEDOUT, ENOTCONN, ECONNRESET, EPIPE].contains(error.code) { break }
      }
    }
    return aliases
  }
}

extension [Hook] {
  /// The units that hooks name without a pattern, each once; not templates, which are none.
  var mentionedUnits: [String] {
    Set(flatMap(\.definition.match.mentionedUnits)).filter { !UnitName($0).isTemplate }.sorted()
  }
}
