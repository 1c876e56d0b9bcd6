internal import Lifecycle
package import Systemd

/// The actions of a hook on units, as far as they can be seen in its command or its script.
///
/// This is a guess from the words after `systemctl`, `service`, `stop-dependent` and `start-dependent`, in any language. It is
/// good enough to warn of loops, and to distinguish events that a run has caused from others that occur during the run.
package struct HookEffects: Sendable, Hashable {
  /// An action on a unit.
  package enum Verb: Sendable, Hashable {
    case start, stop, restart, reload

    /// The events that the action can cause. Such an event can have other causes, too.
    var events: Set<LifecycleEvent.Kind> {
      switch self {
      case .start: [.starting, .started, .finished, .failed, .gaveUp, .skipped]
      case .stop: [.stopping, .stopped, .failed]
      case .restart: [.starting, .started, .stopping, .stopped, .restarted, .finished, .failed, .gaveUp]
      case .reload: [.reloading, .reloaded, .reloadFailed]
      }
    }
  }

  /// An action on one or more units.
  package struct Effect: Sendable, Hashable {
    /// The action.
    package var verb: Verb
    /// The names of the units; nil for the unit for which the hook runs.
    package var units: Glob?

    /// Whether a run for the unit `own` acts on `unit`.
    package func affects(_ unit: String, inRunFor own: String) -> Bool { units?.matches(unit) ?? (unit == own) }
  }

  /// The actions that were found.
  package private(set) var effects: Set<Effect> = []
  /// Whether the hook starts transient units, by systemd-run(1) or by the manager's method StartTransientUnit.
  package private(set) var makesUnits = false

  /// Finds the actions in a command and a script.
  ///
  /// - Parameters:
  ///   - exec: the hook's `Exec=`, if it has one.
  ///   - script: the text of the hook's program, if that is a script.
  package init(exec: ExecCommand?, script: String?) {
    if let exec {
      // A word with spaces may be a shell's program, as after `sh -c`.
      read(exec.words.map(\.source))
      for word in exec.words.dropFirst() where word.source.contains(" ") {
        for command in HookEffects.commands(word.source) { read(HookEffects.words(String(command))) }
      }
    }
    guard let script else { return }
    var values: [Substring: Substring] = [:]
    for line in script.split(whereSeparator: \.isNewline) {
      let line = line.drop { $0.isWhitespace }
      // The definition and other comments are not commands.
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

  /// Whether a run for the unit `own` acts on `unit`.
  package func affects(_ unit: String, inRunFor own: String) -> Bool {
    effects.contains { $0.affects(unit, inRunFor: own) }
  }

  /// Whether a run for any unit may act on `unit`.
  package func mayAffect(_ unit: String) -> Bool {
    effects.contains { $0.units?.matches(unit) ?? true }
  }

  /// The commands in a line, split at the separators of the shell.
  private static func commands(_ line: some StringProtocol) -> [some StringProtocol] {
    line.split(whereSeparator: { ";|&\n".contains($0) })
  }

  /// The words of a command, without quotes and without the punctuation of lists and calls in other languages.
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

  /// The words that are neither options nor values of options.
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
        // The value of a specifier depends on the event, so it becomes `*`.
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
