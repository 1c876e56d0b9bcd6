internal import Lifecycle
package import Systemd

/// What a hook does to units, as far as its command or its script shows.
///
/// It is a guess, made from the words behind `systemctl`, `service`, `stop-dependent` and `start-dependent`, in whatever
/// language: enough to warn of circles, and to tell what follows from a run from what happens while it is under way.
package struct HookEffects: Sendable, Hashable {
  /// What is done to a unit.
  package enum Verb: Sendable, Hashable {
    case start, stop, restart, reload

    /// The events that the unit tells then, the reverse of which is no sign of it.
    var events: Set<LifecycleEvent.Kind> {
      switch self {
      case .start: [.starting, .started, .finished, .failed, .gaveUp, .skipped]
      case .stop: [.stopping, .stopped, .failed]
      case .restart: [.starting, .started, .stopping, .stopped, .restarted, .finished, .failed, .gaveUp]
      case .reload: [.reloading, .reloaded, .reloadFailed]
      }
    }
  }

  package struct Effect: Sendable, Hashable {
    package var verb: Verb
    /// The units' names, a pattern; nil for the unit that the hook is run for.
    package var units: Glob?

    /// Whether it is done to a unit by a run for another.
    package func touches(_ unit: String, of own: String) -> Bool { units?.matches(unit) ?? (unit == own) }
  }

  package private(set) var effects: Set<Effect> = []
  /// Whether it makes transient units: by systemd-run(1), or by the manager's method StartTransientUnit.
  package private(set) var makesUnits = false

  /// - Parameters:
  ///   - exec: the hook's command, if it has one.
  ///   - script: the program's text, if that is a script of the hook's own.
  package init(exec: ExecCommand?, script: String?) {
    if let exec {
      // One word may be a shell's whole program.
      read(exec.words.map(\.source))
      for word in exec.words.dropFirst() where word.source.contains(" ") {
        for command in HookEffects.commands(word.source) { read(HookEffects.words(String(command))) }
      }
    }
    guard let script else { return }
    var values: [Substring: Substring] = [:]
    for line in script.split(whereSeparator: \.isNewline) {
      let line = line.drop { $0.isWhitespace }
      // The definition and other comments are no commands.
      if line.isEmpty || line.hasPrefix("#") { continue }
      if let equals = line.firstIndex(of: "="), line[..<equals].allSatisfy({ $0.isLetter || $0 == "_" }) {
        values[line[..<equals]] = line[line.index(after: equals)...].filter { !"\"'".contains($0) }[...]
      }
      for command in HookEffects.commands(line) {
        read(
          HookEffects.words(String(command)).flatMap { word in
            values[HookEffects.variable(word)].map { HookEffects.words(String($0)) } ?? [word]
          })
      }
    }
  }

  /// Whether it does something to a unit in a run for another.
  package func touches(_ unit: String, of own: String) -> Bool {
    effects.contains { $0.touches(unit, of: own) }
  }

  /// Whether a run for some unit may do something to this one.
  package func mayTouch(_ unit: String) -> Bool {
    effects.contains { $0.units?.matches(unit) ?? true }
  }

  /// A line's commands, as far as a shell's separators part them.
  private static func commands(_ line: some StringProtocol) -> [some StringProtocol] {
    line.split(whereSeparator: { ";|&\n".contains($0) })
  }

  /// The words of a command, without what quotes, lists and calls need.
  private static func words(_ text: String) -> [String] {
    text.split { $0.isWhitespace || "\"'`,()[]".contains($0) }.map(String.init)
  }

  /// The name in `$NAME` or `${NAME}`; empty for other words.
  private static func variable(_ word: String) -> Substring {
    guard word.hasPrefix("$") else { return "" }
    return word.dropFirst().drop { $0 == "{" }.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
  }

  private mutating func read(_ words: [String]) {
    for (index, word) in words.enumerated() {
      if word.contains("StartTransientUnit") { makesUnits = true }
      let rest = words[(index + 1)...]
      switch word.split(separator: "/").last {
      case "systemd-run": makesUnits = true
      case "stop-dependent": add(.stop, operands(rest))
      case "start-dependent": add(.start, operands(rest))
      case "systemctl":
        let operands = operands(rest)
        if let verb = operands.first.flatMap(HookEffects.verb) { add(verb, operands.dropFirst()) }
      case "service":
        let operands = operands(rest)
        if let verb = operands.dropFirst().first.flatMap(HookEffects.verb) { add(verb, operands.prefix(1)) }
      default: continue
      }
    }
  }

  /// What is no option, nor the value of one.
  private func operands(_ words: ArraySlice<String>) -> ArraySlice<String> {
    var operands: ArraySlice<String> = []
    var isValue = false
    for word in words {
      if isValue {
        isValue = false
      } else if word.hasPrefix("-") {
        isValue = ["--timeout", "-s", "-t", "-p", "-H", "-M", "-n", "-o"].contains(word)
      } else {
        operands.append(word)
      }
    }
    return operands
  }

  private static func verb(_ word: String) -> Verb? {
    switch word {
    case "start", "isolate": .start
    case "stop", "kill": .stop
    case "restart", "try-restart", "condrestart", "reload-or-restart", "try-reload-or-restart", "force-reload": .restart
    case "reload": .reload
    default: nil
    }
  }

  private mutating func add(_ verb: Verb, _ units: ArraySlice<String>) {
    for unit in units {
      let name = HookEffects.variable(unit)
      if unit == "%n" || unit == "%N" || name == "JOURNALHOOK_UNIT" {
        effects.insert(Effect(verb: verb, units: nil))
      } else if name.isEmpty, !unit.contains(where: { "<>".contains($0) }) {
        // A specifier stands for what only the event tells.
        var pattern = ""
        var rest = unit[...]
        while let character = rest.popFirst() {
          if character == "%" { rest = rest.dropFirst() }
          pattern.append(character == "%" ? "*" : character)
        }
        if UnitName(pattern).suffix == nil { pattern += ".service" }
        effects.insert(Effect(verb: verb, units: Glob(pattern)))
      }
    }
  }
}
