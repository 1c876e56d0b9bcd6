internal import Lifecycle
internal import Systemd

/// Finds hooks that start units for whose events they run themselves.
package enum HookCascade {
  /// Events that can occur again and again for the same unit, even if it is started only by this hook.
  private static let repeating: Set<LifecycleEvent.Kind> = [.failed, .finished, .gaveUp, .stopped, .restarted]

  /// The units that a hook for a pattern of units starts and for which it runs itself, and the event; nil if there are none.
  ///
  /// Units that are named by full name are left to `HookLoops`, which also sees what stops them.
  package static func find(in match: HookMatch, _ effects: HookEffects) -> (units: String, event: String)? {
    for effect in effects.effects where effect.verb == .start || effect.verb == .restart {
      guard let units = effect.units?.pattern else { continue }
      let isPattern = units.contains("*")
      let sample = units.replacing("*", with: "x")
      // For a unit that is named by full name, `HookLoops` finds the loop.
      guard !match.namedUnits.contains(sample) else { continue }
      let kinds = effect.verb.events.filter { kind in
        (isPattern || repeating.contains(kind))
          && match.matches(
            LifecycleEvent(
              id: "", kind: kind, unit: sample, result: kind == .failed ? "exit-code" : nil,
              restartJob: effect.verb == .restart, realtime: 0, monotonic: 0, boot: "", machine: ""))
      }
      if let kind = kinds.map(\.rawValue).min() { return (units, kind) }
    }
    return nil
  }
}
