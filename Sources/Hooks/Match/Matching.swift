package import Lifecycle
internal import Systemd

extension HookMatch {
  /// Whether one clause holds for an event, and why.
  package struct ClauseResult: Sendable, Hashable {
    /// The key of the clause.
    package var key: Key
    /// The values of the clause.
    package var values: [String]
    /// The value that the event has for this key; nil if it has none.
    package var actual: String?
    /// Whether the clause holds.
    package var holds: Bool
    /// The value that decided: the one that matched the event, or the one with `!` that excluded it; nil if none matched.
    package var decidedBy: String?
  }

  /// The result of each clause for an event.
  ///
  /// - Parameter aliases: The other names that the manager has for the event's unit.
  package func evaluate(_ event: LifecycleEvent, aliases: [String] = []) -> [ClauseResult] {
    clauses.map { clause in
      let (holds, term) = clause.decide(event, aliases)
      return ClauseResult(
        key: clause.key, values: clause.terms.map(\.description), actual: clause.actual(event), holds: holds,
        decidedBy: term?.description)
    }
  }

  /// Whether all clauses hold for an event.
  ///
  /// - Parameter aliases: The other names that the manager has for the event's unit.
  package func matches(_ event: LifecycleEvent, aliases: [String] = []) -> Bool {
    clauses.allSatisfy { $0.decide(event, aliases).holds }
  }
}

extension HookMatch.Clause {
  /// Whether a clause about units holds for a unit.
  func accepts(_ unit: String, _ aliases: [String]) -> Bool {
    let event = LifecycleEvent(id: "", kind: .started, unit: unit, realtime: 0, monotonic: 0, boot: "", machine: "")
    return decide(event, aliases).holds
  }

  fileprivate func decide(_ event: LifecycleEvent, _ aliases: [String]) -> (holds: Bool, by: HookMatch.Term?) {
    if let excluding = terms.first(where: { $0.isNegated && matches($0, event, aliases) }) { return (false, excluding) }
    if let matching = terms.first(where: { !$0.isNegated && matches($0, event, aliases) }) { return (true, matching) }
    guard terms.allSatisfy(\.isNegated) else { return (false, nil) }
    // A clause with only `!` values matches all other units, as a pattern does, and so not journalhook's own.
    return (key != .unit || !Self.isOwn(event.unit), nil)
  }

  private func matches(_ term: HookMatch.Term, _ event: LifecycleEvent, _ aliases: [String]) -> Bool {
    switch term.test {
    case .name(let glob, let isPattern) where key == .unit:
      // Otherwise a hook for all units would run when it restarts journalhook itself.
      if isPattern, !term.isNegated, Self.isOwn(event.unit) { return false }
      return glob.matches(event.unit) || aliases.contains(where: glob.matches)
    case .name(let glob, _): return event.hostname.map(glob.matches) ?? false
    case .anyEvent: return true
    case .event(let kind): return event.kind == kind
    case .result(let result): return event.result == result
    case .exitStatus(let status): return event.exitCode == "exited" && event.exitStatus == String(status)
    case .signal(let signal):
      return (event.exitCode == "killed" || event.exitCode == "dumped") && event.exitStatus == String(signal)
    case .flag(let flag): return flag == ((key == .restartJob ? event.restartJob : event.autoRestart) ?? false)
    }
  }

  private static func isOwn(_ unit: String) -> Bool { unit.hasPrefix("journalhook") }

  fileprivate func actual(_ event: LifecycleEvent) -> String? {
    switch key {
    case .unit: event.unit
    case .event: event.kind.rawValue
    case .result: event.result
    case .exitStatus: event.exitCode.map { code in event.exitStatus.map { "\(code) \($0)" } ?? code }
    case .restartJob: event.restartJob ?? false ? "yes" : "no"
    case .autoRestart: event.autoRestart ?? false ? "yes" : "no"
    case .host: event.hostname
    }
  }
}
