internal import Glibc
package import Lifecycle
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
}
