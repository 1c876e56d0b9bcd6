package import Lifecycle
package import Systemd

/// The `[Match]` section: the events for which a hook runs. For such an event all clauses hold.
package struct HookMatch: Sendable, Hashable {
  /// The keys of `[Match]`.
  package enum Key: String, Sendable, CaseIterable {
    case unit = "Unit"
    case event = "Event"
    case result = "Result"
    case exitStatus = "ExitStatus"
    case restartJob = "RestartJob"
    case autoRestart = "AutoRestart"
    case host = "Host"
  }

  /// One value of a key.
  package struct Term: Sendable, Hashable {
    /// The comparison with an event.
    package enum Test: Sendable, Hashable {
      /// A name or a pattern of names.
      case name(Glob, isPattern: Bool)
      case anyEvent
      case event(LifecycleEvent.Kind)
      case result(String)
      case exitStatus(UInt8)
      case signal(Int32)
      case flag(Bool)
    }

    /// The value without `!`, and with a suffix if it is a unit: `maxscale.service`.
    package var text: String
    /// Whether the value has a leading `!`.
    package var isNegated: Bool
    /// The comparison that the value stands for.
    package var test: Test

    /// The value with its `!`.
    package var description: String { (isNegated ? "!" : "") + text }
  }

  /// One key with all its values.
  package struct Clause: Sendable, Hashable {
    /// The key.
    package var key: Key
    /// Its values.
    package var terms: [Term]
  }

  /// The clauses in the order of `Key`; a key without values has no clause.
  package private(set) var clauses: [Clause] = []

  package init() {}

  /// The values of a key.
  package subscript(key: Key) -> [Term] {
    get { clauses.first { $0.key == key }?.terms ?? [] }
    set {
      clauses.removeAll { $0.key == key }
      if !newValue.isEmpty { clauses.append(Clause(key: key, terms: newValue)) }
      let order = Key.allCases
      clauses.sort { (order.firstIndex(of: $0.key) ?? 0) < (order.firstIndex(of: $1.key) ?? 0) }
    }
  }

  /// Whether the hook can run for events of a unit.
  ///
  /// - Parameter aliases: The other names that the manager has for the unit.
  package func concerns(_ unit: String, aliases: [String] = []) -> Bool {
    clauses.allSatisfy { $0.key != .unit || $0.accepts(unit, aliases) }
  }

  /// The units that are named by full name and not by a pattern, with and without `!`.
  package var mentionedUnits: [String] {
    self[.unit].compactMap { term in if case .name(_, isPattern: false) = term.test { term.text } else { nil } }
  }

  /// The units that are named by full name and not by a pattern, without `!`.
  package var namedUnits: [String] {
    self[.unit].compactMap { term in
      if case .name(_, isPattern: false) = term.test, !term.isNegated { term.text } else { nil }
    }
  }
}

extension HookMatch.Term {
  /// Reads one value of a key.
  init(parsing word: String, for key: HookMatch.Key) throws(HookValueError) {
    let isNegated = word.hasPrefix("!")
    let value = isNegated ? String(word.dropFirst()) : word
    guard !value.isEmpty else {
      throw HookValueError("there is no value after '!'; write '!' directly before the value")
    }
    // No value contains a comma, except within the brackets of a pattern.
    if value.contains(","), !value.contains("[") {
      let reason =
        switch key {
        case .unit: "'\(value)' is not the name of a unit"
        case .event: "there is no event '\(value)'"
        default: "'\(value)' is not one value"
        }
      throw HookValueError("\(reason); separate several values by spaces")
    }
    let (text, test) = try Self.test(value, key)
    self.init(text: text, isNegated: isNegated, test: test)
  }

  private static func test(_ value: String, _ key: HookMatch.Key) throws(HookValueError) -> (String, Test) {
    switch key {
    case .unit:
      if value.hasPrefix("/") {
        let suffix = value.hasPrefix("/dev/") ? "device" : "mount"
        throw HookValueError(
          "'\(value)' is a path, not the name of a unit; to get the name, run: systemd-escape -p --suffix=\(suffix) \(value)"
        )
      }
      guard !value.contains("/") else { throw HookValueError("'\(value)' is not the name of a unit") }
      if Glob.isPattern(value) { return (value, .name(Glob(value), isPattern: true)) }
      let unit = UnitName(UnitName(value).suffix == nil ? value + ".service" : value)
      guard unit.isValid else { throw HookValueError("'\(value)' is not the name of a unit") }
      return (unit.text, .name(Glob(unit.text), isPattern: false))
    case .event:
      if value == "*" { return (value, .anyEvent) }
      guard let kind = LifecycleEvent.Kind(rawValue: value) else {
        let names = LifecycleEvent.Kind.allCases.map(\.rawValue)
        let near = suggestion(for: value, among: names)
        throw HookValueError(
          "there is no event '\(value)'" + (near.isEmpty ? "; the events are \(names.joined(separator: ", "))" : near))
      }
      return (value, .event(kind))
    case .result:
      return (value, .result(value))
    case .exitStatus:
      switch try ExitStatusSet.Element(parsing: value) {
      case .status(let status): return (value, .exitStatus(status))
      case .signal(let signal): return (value, .signal(signal))
      }
    case .restartJob, .autoRestart:
      let flag = try HookValue.boolean(value)
      return (flag ? "yes" : "no", .flag(flag))
    case .host:
      return (value, .name(Glob(value, ignoringCase: true), isPattern: Glob.isPattern(value)))
    }
  }
}
