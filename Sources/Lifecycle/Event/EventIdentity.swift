internal import Systemd

/// What the events of one manager in one boot have in common, and their ids derived from it: the same for the same fact
/// however it was learnt, and wherever its entry was moved.
final class EventIdentity: Sendable {
  private let machine: String
  private let boot: String
  private let manager: Manager
  /// The hash of that much: it is the longer part of what an id is made of.
  private let hash: SHA256

  init(machine: String, boot: String, manager: Manager) {
    self.machine = machine
    self.boot = boot
    self.manager = manager
    let managerName =
      switch manager {
      case .system: "system"
      case .user(let uid): "user-\(uid)"
      }
    var hash = SHA256()
    for part in [machine, boot, managerName] {
      hash.update(part)
      hash.update("\n")
    }
    self.hash = hash
  }

  /// Whether the entry is of this manager and boot.
  func isOrigin(of entry: ManagerEntry) -> Bool {
    entry.boot == boot && entry.machine == machine && entry.manager == manager
  }

  /// The id of an event.
  func id(
    unit: String, kind: LifecycleEvent.Kind, source: LifecycleEvent.Source, invocation: String?, monotonic: UInt64
  ) -> String {
    // The stop that ends a failed restart comes in addition to the one that began it, in the same invocation.
    let name = source == .restartFailed ? "\(kind.rawValue)+\(source.rawValue)" : kind.rawValue
    let instance =
      if let invocation, !kind.isRepeatable { invocation } else { "@\(monotonic)" }
    var hash = hash
    hash.update(unit)
    hash.update("\n")
    hash.update(name)
    hash.update("\n")
    hash.update(instance)
    return hash.hexadecimalDigest(digits: 32)
  }
}
