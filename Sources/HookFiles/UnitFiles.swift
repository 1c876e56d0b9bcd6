internal import Glibc
package import Lifecycle
internal import Systemd

/// The directories from which a service manager loads unit files (systemd.unit(5)), without those of transient units.
package struct UnitFiles {
  private let directories: [String]

  package init(of manager: Manager) {
    func variable(_ name: String) -> String { unsafe getenv(name).map { unsafe String(cString: $0) } ?? "" }
    switch manager {
    case .system:
      directories =
        ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"].map {
          "\($0)/system"
        }
        + ["generator.early", "generator", "generator.late"].map { "/run/systemd/\($0)" }
    case .user:
      let (home, runtime) = (variable("HOME"), variable("XDG_RUNTIME_DIR"))
      directories =
        [
          "\(home)/.config/systemd", "\(home)/.local/share/systemd", "\(runtime)/systemd", "/etc/systemd",
          "/run/systemd",
          "/usr/local/lib/systemd", "/usr/lib/systemd", "/usr/local/share/systemd", "/usr/share/systemd",
        ].map { "\($0)/user" }
        + ["generator.early", "generator", "generator.late"].map { "\(runtime)/systemd/\($0)" }
    }
  }

  /// Whether one of the directories has a file for a unit.
  package func contains(_ unit: String) -> Bool { directories.contains { unsafe access("\($0)/\(unit)", F_OK) == 0 } }
}
