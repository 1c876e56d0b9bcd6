internal import Lifecycle
internal import Systemd

/// Whether what a hook starts runs the hook again.
package enum HookCascade {
  /// Events that a unit tells again and again, however often it is started.
  private static let repeating: Set<LifecycleEvent.Kind> = [.failed, .finished, .gaveUp, .stopped, .restarted]

  /// What a hook for a pattern of units starts and is itself for, and the event; nil if there is nothing.
  ///
  /// Units that are named are a matter of `HookCircles`, which sees what stops them again.
  package static func find(in match: HookMatch, _ effects: HookEffects) -> (units: String, event: String)? {
    for effect in effects.effects where effect.verb == .start || effect.verb == .restart {
      guard let units = effect.units?.pattern else { continue }
      let isPattern = units.contains("*")
      let sample = units.replacing("*", with: "x")
      // For a named unit this is a circle like any other.
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
