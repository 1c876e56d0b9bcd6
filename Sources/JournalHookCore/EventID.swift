/// Derives the id of an event: the same for the same fact however it was learnt, and wherever its entry was moved.
enum EventID {
  /// Kinds that may happen more than once within an invocation: the time tells them apart.
  private static let repeatable: Set<LifecycleEvent.Kind> = [
    .stopping, .restarting, .reloading, .reloaded, .reloadFailed, .skipped, .oom, .gaveUp,
  ]

  static func derive(
    machine: String, boot: String, manager: Manager, unit: String, kind: LifecycleEvent.Kind,
    source: LifecycleEvent.Source, invocation: String?, monotonic: UInt64
  ) -> String {
    let managerName =
      switch manager {
      case .system: "system"
      case .user(let uid): "user-\(uid)"
      }
    // The stop that ends a failed restart comes in addition to the one that began it, in the same invocation.
    let name = source == .restartFailed ? "\(kind.rawValue)+\(source.rawValue)" : kind.rawValue
    let instance =
      if let invocation, !repeatable.contains(kind) { invocation } else { "@\(monotonic)" }
    var fact: [UInt8] = []
    fact.reserveCapacity(256)
    for part in [machine, boot, managerName, unit, name, instance] {
      if !fact.isEmpty { fact.append(UInt8(ascii: "\n")) }
      fact += part.utf8
    }
    return SHA256.hexadecimalDigest(of: fact, digits: 32)
  }
}
