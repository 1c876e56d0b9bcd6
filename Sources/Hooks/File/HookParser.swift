internal import Lifecycle
internal import Systemd

/// Builds a definition from the assignments in a file and its drop-ins.
struct HookParser {
  enum Key: String, CaseIterable {
    case description = "Description"
    case documentation = "Documentation"
    case exec = "Exec"
    case timeout = "TimeoutSec"
    case grace = "GraceSec"
    case retryCount = "RetryCount"
    case retryDelay = "RetryDelaySec"
    case settle = "SettleSec"
    case catchUp = "CatchUp"
    case previousBoots = "PreviousBoots"
    case rerunInterrupted = "RerunInterrupted"
    case rateLimitInterval = "RateLimitIntervalSec"
    case rateLimitBurst = "RateLimitBurst"
    case parallel = "Parallel"
    case successExitStatus = "SuccessExitStatus"
    case execCondition = "ExecCondition"
    case environment = "Environment"
    case workingDirectory = "WorkingDirectory"
    case user = "User"
    case group = "Group"
    case umask = "UMask"
    case nice = "Nice"
    case onHookFailure = "OnHookFailure"
    case duringShutdown = "DuringShutdown"
  }

  static let matchKeys = HookMatch.Key.allCases.map(\.rawValue)
  static let hookKeys = Key.allCases.map(\.rawValue) + HookCondition.Kind.allCases.map(\.rawValue)
  static let sections = ["Match", "Hook"]

  private let kind: HookKind
  private(set) var definition = HookDefinition()
  private(set) var diagnostics: [Diagnostic] = []
  private(set) var assignments: [HookAssignment] = []
  private var file = ""
  private var line = 1

  private let defaultTimeout: TimeSpan

  init(kind: HookKind, defaultTimeout: TimeSpan) {
    self.kind = kind
    self.defaultTimeout = defaultTimeout
    definition.timeout = defaultTimeout
  }

  /// Applies the assignments of a file after those of earlier files.
  mutating func add(_ content: UnitFile, file: String) {
    self.file = file
    for problem in content.problems {
      let isText = kind == .executable && problem.message.hasSuffix("has no '='")
      let hint = isText ? " (text belongs before the first section, or after an empty line)" : ""
      report(.error, problem.message + hint, line: problem.line)
    }
    for section in content.sections where !Self.sections.contains(section.name) && !section.name.hasPrefix("X-") {
      let near = suggestion(for: section.name, among: Self.sections)
      report(.warning, "unknown section [\(section.name)], ignored" + near, line: section.line)
    }
    for assignment in content.assignments {
      line = assignment.line
      assignments.append(
        HookAssignment(key: assignment.key, value: assignment.value, file: file, line: assignment.line))
      do throws(HookValueError) {
        try apply(assignment)
      } catch {
        report(.error, "\(assignment.key)=: \(error)", line: line)
      }
    }
  }

  /// Checks that no required key is missing, once all files are added.
  ///
  /// - Parameters:
  ///   - content: the content of the main file; the diagnostics refer to the lines of its sections.
  ///   - file: the path of the main file.
  mutating func finish(_ content: UnitFile, file: String) {
    self.file = file
    func line(of section: String) -> Int {
      (content.sections.first { $0.name == section } ?? content.sections.first)?.line ?? 1
    }
    var missing = [HookMatch.Key.unit, .event].filter { definition.match[$0].isEmpty }.map { ("Match", $0.rawValue) }
    if kind == .definitionFile, definition.exec == nil { missing.append(("Hook", Key.exec.rawValue)) }
    // A key whose value was refused has an error already.
    for (section, key) in missing where !hasError(about: key) {
      if let last = assignments.last(where: { $0.key == key && $0.value.isEmpty }) {
        self.file = last.file
        report(.error, "[\(section)] has no \(key)=: this line resets it, and no later line sets it", line: last.line)
        self.file = file
      } else {
        report(.error, "[\(section)] has no \(key)=", line: line(of: section))
      }
    }
  }

  private func hasError(about key: String) -> Bool {
    diagnostics.contains { $0.severity == .error && $0.message.hasPrefix(key + "=: ") }
  }

  private mutating func report(_ severity: Diagnostic.Severity, _ message: String, line: Int) {
    diagnostics.append(Diagnostic(file: file, line: line, severity: severity, message: message))
  }

  private mutating func apply(_ assignment: UnitFile.Assignment) throws(HookValueError) {
    let (key, value) = (assignment.key, assignment.value)
    if key.hasPrefix("X-") { return }
    switch assignment.section {
    case "Match":
      guard let known = HookMatch.Key(rawValue: key) else { return reportUnknownMatch(key) }
      try applyMatch(known, value)
    case "Hook":
      if let condition = HookCondition.Kind(rawValue: key) {
        try applyCondition(condition, value)
      } else if let known = Key(rawValue: key) {
        try applyHook(known, value)
      } else {
        reportUnknownHook(key)
      }
    default: break
    }
  }

  /// Reports an unknown key of `[Match]` as an error: if it were ignored, the hook would run for more events than its author
  /// wants.
  private mutating func reportUnknownMatch(_ key: String) {
    let near = suggestion(for: key, among: Self.matchKeys, suffix: "=")
    let known = Self.matchKeys.map { "\($0)=" }.joined(separator: ", ")
    let hint =
      Self.hookKeys.contains(key) ? "; it belongs in [Hook]" : near.isEmpty ? "; its keys are \(known)" : near
    report(.error, "unknown key \(key)= in [Match]" + hint, line: line)
  }

  private mutating func reportUnknownHook(_ key: String) {
    let near = nearestName(to: key, among: Self.hookKeys)
    // The same holds for an unknown condition, even if its first letters are misspelled.
    let isCondition = key.lowercased().hasPrefix("condition") || near?.contains("Condition") == true
    let hint = Self.matchKeys.contains(key) ? "; it belongs in [Match]" : near.map { "; did you mean \($0)=?" } ?? ""
    report(
      isCondition ? .error : .warning,
      isCondition ? "unknown condition \(key)=" + hint : "unknown key \(key)=, ignored" + hint, line: line)
  }

  private mutating func applyMatch(_ key: HookMatch.Key, _ value: String) throws(HookValueError) {
    if value.isEmpty {
      definition.match[key] = []
      return
    }
    for word in try HookValue.words(value, escapes: .kept) {
      let term = try HookMatch.Term(parsing: word, for: key)
      definition.match[key].append(term)
      if key == .unit, case .name(_, isPattern: false) = term.test, UnitName(term.text).isTemplate {
        let all = UnitName(term.text).prefix + "@*." + (UnitName(term.text).suffix ?? "service")
        report(.warning, "\(term.text) is a template and never runs itself; its instances are \(all)", line: line)
      }
      if key == .unit, case .name(_, isPattern: true) = term.test, !term.text.contains("."), !term.text.hasSuffix("*") {
        report(
          .warning,
          "\(term.text) matches no unit, as unit names end with a suffix: write \(term.text).service, for example",
          line: line)
      }
      if case .result(let result) = term.test, !Self.results.contains(result) {
        let near = suggestion(for: result, among: Self.results)
        report(.warning, "'\(result)' is not a result of systemd that journalhook knows" + near, line: line)
      }
    }
  }

  /// The results of units of all types, and of jobs (systemd's unit.c, service.c, job.c and others).
  private static let results = [
    "success", "resources", "protocol", "timeout", "exit-code", "signal", "core-dump", "watchdog", "start-limit-hit",
    "start-limit", "oom-kill", "exec-condition", "trigger-limit-hit", "service-start-limit-hit", "unit-start-limit-hit",
    "mount-start-limit-hit", "unmounted", "canceled", "dependency", "failed", "skipped", "invalid", "assert",
    "unsupported", "collected", "once", "frozen", "concurrency",
  ]

  private mutating func applyCondition(_ kind: HookCondition.Kind, _ value: String) throws(HookValueError) {
    // As in unit files, an empty condition resets the conditions of all kinds.
    if value.isEmpty { return definition.conditions.removeAll() }
    definition.conditions.append(try HookCondition(parsing: value, kind: kind))
  }

  private mutating func applyHook(_ key: Key, _ value: String) throws(HookValueError) {
    let isReset = value.isEmpty
    let initial = HookDefinition()
    switch key {
    case .description: definition.description = isReset ? nil : value
    case .documentation:
      definition.documentation = isReset ? [] : definition.documentation + (try HookValue.words(value))
    case .exec: try applyExec(value)
    case .timeout:
      let timeout = isReset ? defaultTimeout : try HookValue.span(value)
      // As in service units, 0 means no timeout.
      definition.timeout = timeout == .zero ? .infinity : timeout
    case .grace: definition.grace = isReset ? initial.grace : try HookValue.span(value)
    case .retryCount: definition.retryCount = isReset ? initial.retryCount : try HookValue.count(value)
    case .retryDelay: definition.retryDelay = isReset ? initial.retryDelay : try HookValue.finiteSpan(value)
    case .settle: definition.settle = isReset ? initial.settle : try HookValue.finiteSpan(value)
    case .catchUp: definition.catchUp = isReset ? initial.catchUp : try CatchUp(parsing: value)
    case .previousBoots: definition.previousBoots = isReset ? initial.previousBoots : try HookValue.boolean(value)
    case .rerunInterrupted:
      definition.rerunInterrupted = isReset ? initial.rerunInterrupted : try HookValue.boolean(value)
    case .rateLimitInterval:
      definition.rateLimitInterval = isReset ? initial.rateLimitInterval : try HookValue.span(value)
    case .rateLimitBurst: definition.rateLimitBurst = isReset ? initial.rateLimitBurst : try HookValue.count(value)
    case .parallel: definition.parallel = isReset ? initial.parallel : try HookValue.boolean(value)
    case .successExitStatus:
      if isReset { definition.successExitStatus = initial.successExitStatus }
      for word in try HookValue.words(value) {
        definition.successExitStatus.elements.insert(try ExitStatusSet.Element(parsing: word))
      }
    case .execCondition:
      if isReset { return definition.execConditions.removeAll() }
      definition.execConditions.append(try ExecCommand(parsing: value))
    case .environment: try applyEnvironment(value)
    case .workingDirectory: definition.workingDirectory = isReset ? nil : try WorkingDirectory(parsing: value)
    case .user: definition.user = isReset ? nil : try HookValue.account(value)
    case .group: definition.group = isReset ? nil : try HookValue.account(value)
    case .umask: definition.umask = isReset ? nil : try HookValue.mode(value)
    case .nice: definition.nice = isReset ? nil : try HookValue.nice(value)
    case .onHookFailure: definition.onHookFailure = isReset ? nil : try HookValue.hookName(value)
    case .duringShutdown: definition.duringShutdown = isReset ? initial.duringShutdown : try HookValue.boolean(value)
    }
  }

  private mutating func applyExec(_ value: String) throws(HookValueError) {
    guard kind == .definitionFile else {
      throw HookValueError("this executable is itself the program of the hook; only a .hook file has Exec=")
    }
    if value.isEmpty {
      definition.exec = nil
      return
    }
    guard definition.exec == nil else {
      throw HookValueError("the command is set already; to replace it, write an empty Exec= first")
    }
    let command = try ExecCommand(parsing: value)
    definition.exec = command
    for word in command.words.dropFirst() where Self.isVariable(word.source) {
      report(
        .warning, "\(word.source) is passed as it is: variables are not expanded, specifiers (%n, %e) are", line: line)
    }
    let operators = ["&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"]
    if let word = command.words.dropFirst().first(where: { operators.contains($0.source) }) {
      report(
        .warning, "'\(word.source)' is passed to the command as it is: there is no shell (use a script, or /bin/sh -c)",
        line: line)
    }
  }

  /// Whether a whole word is `$NAME` or `${NAME}`, which systemd would expand in a unit file.
  private static func isVariable(_ word: String) -> Bool {
    guard word.hasPrefix("$") else { return false }
    var name = word.dropFirst()
    if name.hasPrefix("{"), name.hasSuffix("}") { name = name.dropFirst().dropLast() }
    guard let first = name.first, first.isLetter || first == "_" else { return false }
    return name.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
  }

  private mutating func applyEnvironment(_ value: String) throws(HookValueError) {
    if value.isEmpty { return definition.environment.removeAll() }
    for word in try HookValue.words(value) {
      let variable = try EnvironmentVariable(parsing: word)
      definition.environment.removeAll { $0.name == variable.name }
      definition.environment.append(variable)
    }
  }
}
