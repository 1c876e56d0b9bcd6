internal import Glibc
package import JournalHookCore
package import Systemd

/// Connections to this machine's service managers, for questions whose answers are waited for.
package enum ManagerConnection {
  /// A connection of its own; nil where there is none to be had, or a question could hang.
  ///
  /// Root asks the private socket of PID 1, which answers at any time. Others ask on the bus: early at boot that would hang,
  /// but they are not there then.
  package static func open(to manager: Manager) -> Bus? {
    switch manager {
    case .system: geteuid() == 0 ? try? Bus.privateSystemManager() : try? Bus.systemBus()
    case .user: try? Bus.privateUserManager()
    }
  }

  /// The boot that this machine is in. Without an answer of PID 1 soft reboots are not known.
  package static func currentBoot() throws(SystemError) -> CurrentBoot {
    let id: String
    do throws(SystemError) { id = try Id128.boot() } catch {
      throw SystemError(
        "cannot read this boot's id, /proc/sys/kernel/random/boot_id: \(error.reason). journalhook needs all of /proc: leave out "
          + "ProcSubset=pid, and see that /proc is mounted", code: 0)
    }
    var boot = CurrentBoot(id: id)
    guard let answer = try? open(to: .system)?.managerProperties() else { return boot }
    boot.userspace = answer.number("UserspaceTimestampMonotonic")
    // systemd 254 and later.
    if answer.number("SoftRebootsCount") > 0 { boot.softReboot = boot.userspace }
    return boot
  }

  /// What the units that hooks mention are called otherwise; empty without a manager that answers within two seconds.
  package static func aliases(of hooks: HookStore, manager: Manager) -> UnitAliases {
    aliases(of: hooks.hooks.map(\.hook), manager: manager)
  }

  /// What the units that hooks mention are called otherwise; empty without a manager that answers within two seconds.
  package static func aliases(of hooks: [Hook], manager: Manager) -> UnitAliases {
    let units = hooks.mentionedUnits
    guard !units.isEmpty, let bus = open(to: manager) else { return UnitAliases() }
    var aliases = UnitAliases()
    let end = Clock.monotonic() + Bus.patience
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
