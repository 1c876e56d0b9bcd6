internal import Glibc
package import Lifecycle
package import Systemd

/// Connections to the service managers of this machine, for calls that wait for their answer.
package enum ManagerConnection {
  /// Opens a new connection; nil if there is no manager to connect to.
  ///
  /// Root uses the private socket of PID 1, which answers at any time. Other users use the bus. Early at boot a call on the bus
  /// would hang, but no other user runs journalhook then.
  package static func open(to manager: Manager) -> Bus? {
    switch manager {
    case .system: geteuid() == 0 ? try? Bus.privateSystemManager() : try? Bus.systemBus()
    case .user: try? Bus.privateUserManager()
    }
  }

  /// The current boot of this machine. Without an answer of PID 1 its soft reboots are not known.
  package static func currentBoot() throws(SystemError) -> CurrentBoot {
    let id: String
    do throws(SystemError) { id = try Id128.boot() } catch {
      throw SystemError(
        "cannot read the id of this boot, /proc/sys/kernel/random/boot_id: \(error.reason). journalhook needs all of /proc: remove "
          + "ProcSubset=pid, and check that /proc is mounted", code: 0)
    }
    var boot = CurrentBoot(id: id)
    guard let answer = try? open(to: .system)?.managerProperties() else { return boot }
    boot.userspace = answer.number("UserspaceTimestampMonotonic")
    // systemd 254 and later.
    if answer.number("SoftRebootsCount") > 0 { boot.softReboot = boot.userspace }
    return boot
  }
}
