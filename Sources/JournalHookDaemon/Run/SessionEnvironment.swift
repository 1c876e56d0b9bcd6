internal import Glibc
internal import Synchronization
internal import Systemd

/// What hooks of a user's units need to reach that user's manager, bus and desktop.
///
/// The desktop may come after journalhook: so the manager is asked before each run, and what it said last is used when it does
/// not answer.
enum SessionEnvironment {
  /// What the manager knows and journalhook itself may not: `systemctl --user import-environment` sets it at login.
  private static let imported = ["DISPLAY", "WAYLAND_DISPLAY"]
  private static let busAddress = "DBUS_SESSION_BUS_ADDRESS"
  /// How long a manager that did not answer is not asked, in microseconds.
  private static let pause: UInt64 = 10_000_000

  /// The variables, as they are now.
  static func variables() -> [(String, String)] {
    let directory = UserRuntimeDirectory.path
    let known = managerVariables()
    let address = unsafe getenv(busAddress).map { unsafe String(cString: $0) }
    let bus = address ?? known[busAddress] ?? "unix:path=\(directory)/bus"
    return [("XDG_RUNTIME_DIR", directory), (busAddress, bus)]
      + imported.compactMap { name in known[name].map { (name, $0) } }
  }

  private static func managerVariables() -> [String: String] {
    let now = Clock.monotonic()
    return memory.withLock { memory in
      guard now >= memory.silentUntil else { return memory.variables }
      do throws(SystemError) {
        // A connection for this question: the manager waits for those that do not read its signals.
        let told = try Bus.privateUserManager().managerEnvironment()
        memory.variables = [:]
        for variable in told {
          let parts = variable.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
          if parts.count == 2, !parts[1].isEmpty { memory.variables[String(parts[0])] = String(parts[1]) }
        }
      } catch {
        memory.silentUntil = now + pause
      }
      return memory.variables
    }
  }

  private struct Memory {
    var variables: [String: String] = [:]
    var silentUntil: UInt64 = 0
  }

  private static let memory = Mutex(Memory())
}
