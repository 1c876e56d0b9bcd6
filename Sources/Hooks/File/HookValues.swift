internal import Systemd

/// Reads the values of keys.
enum HookValue {
  static func boolean(_ text: String) throws(HookValueError) -> Bool {
    switch text.lowercased() {
    case "1", "yes", "y", "true", "t", "on": return true
    case "0", "no", "n", "false", "f", "off": return false
    default: throw HookValueError("'\(text)' is neither yes nor no")
    }
  }

  static func span(_ text: String) throws(HookValueError) -> TimeSpan {
    do { return try TimeSpan(parsing: text) } catch { throw HookValueError(error.description) }
  }

  static func finiteSpan(_ text: String) throws(HookValueError) -> TimeSpan {
    let span = try span(text)
    guard !span.isInfinite else { throw HookValueError("'infinity' is not allowed here") }
    return span
  }

  static func count(_ text: String) throws(HookValueError) -> UInt32 {
    guard text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let count = UInt32(text) else {
      throw HookValueError("'\(text)' is not a number")
    }
    return count
  }

  static func nice(_ text: String) throws(HookValueError) -> Int32 {
    guard let nice = Int32(text), -20...19 ~= nice else {
      throw HookValueError("'\(text)' is not a nice level from -20 to 19")
    }
    return nice
  }

  static func mode(_ text: String) throws(HookValueError) -> UInt32 {
    guard text.utf8.allSatisfy({ 0x30...0x37 ~= $0 }), let mode = UInt32(text, radix: 8), mode <= 0o777 else {
      throw HookValueError("'\(text)' is not an octal file mode up to 0777")
    }
    return mode
  }

  static func account(_ text: String) throws(HookValueError) -> String {
    let isSpelledWell = text.unicodeScalars.allSatisfy {
      $0.value > 0x20 && $0.value != 0x7f && !":/".unicodeScalars.contains($0)
    }
    guard isSpelledWell, !text.hasPrefix("-") else {
      throw HookValueError("'\(text)' is not the name of a user or group")
    }
    return text
  }

  static func hookName(_ text: String) throws(HookValueError) -> String {
    let name = HookFileNames.hookName(ofFile: text)
    guard !name.isEmpty, !name.contains("/"), !name.contains(" ") else {
      throw HookValueError("'\(text)' is not the name of a hook")
    }
    return name
  }

  static func words(_ text: String, escapes: Words.Escapes = .interpreted) throws(HookValueError) -> [String] {
    do { return try Words.split(text, escapes: escapes) } catch { throw HookValueError(error.description) }
  }
}

/// `CatchUp=`: which of the events run the hook that occurred while journalhook was not running.
package enum CatchUp: String, Sendable, CaseIterable {
  case all, latest, none

  init(parsing text: String) throws(HookValueError) {
    guard let value = CatchUp(rawValue: text) else { throw HookValueError("'\(text)' is not one of all, latest, none") }
    self = value
  }
}

/// A set of exit statuses and signals, as in `SuccessExitStatus=`.
package struct ExitStatusSet: Sendable, Hashable {
  /// An exit status or a signal.
  package enum Element: Sendable, Hashable {
    case status(UInt8)
    case signal(Int32)

    /// Reads a number, the name of an exit status (`TEMPFAIL`) or of a signal (`TERM`, `SIGTERM`).
    init(parsing text: String) throws(HookValueError) {
      if let status = UInt8(text), text.utf8.first != UInt8(ascii: "+") {
        self = .status(status)
      } else if let status = ExitStatus.number(named: text) {
        self = .status(status)
      } else if let signal = Signal.number(named: text) {
        self = .signal(signal)
      } else {
        let near = suggestion(for: text, among: Signal.names.map { "SIG" + $0 } + Signal.names)
        throw HookValueError("'\(text)' is neither an exit status from 0 to 255 nor a signal" + near)
      }
    }
  }

  /// The exit statuses and signals in the set.
  package var elements: Set<Element> = []

  package init(_ elements: Set<Element> = []) { self.elements = elements }

  /// Whether an exit status or a signal is in the set.
  package func contains(_ element: Element) -> Bool { elements.contains(element) }
}

/// `WorkingDirectory=`.
package struct WorkingDirectory: Sendable, Hashable {
  /// An absolute path, or `~` for the home directory of the user that the hook runs as.
  package var path: SpecifierText
  /// Whether the directory may be missing (a leading `-`). Then the hook runs in another one.
  package var mayBeMissing: Bool

  init(parsing text: String) throws(HookValueError) {
    mayBeMissing = text.hasPrefix("-")
    path = try SpecifierText(mayBeMissing ? String(text.dropFirst()) : text)
    guard path.source == "~" || path.source.hasPrefix("/") else {
      throw HookValueError("'\(path.source)' is neither an absolute path nor ~")
    }
  }
}

/// One variable of `Environment=`.
package struct EnvironmentVariable: Sendable, Hashable {
  /// The name of the variable.
  package var name: String
  /// The value, with specifiers.
  package var value: SpecifierText

  init(parsing text: String) throws(HookValueError) {
    guard let equals = text.firstIndex(of: "=") else {
      throw HookValueError("'\(text)' does not have the form NAME=VALUE")
    }
    name = String(text[..<equals])
    let isName = name.utf8.allSatisfy { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a || $0 == 0x5f || 0x30...0x39 ~= $0 }
    guard isName, let first = name.utf8.first, !(0x30...0x39 ~= first) else {
      throw HookValueError("'\(name)' is not the name of a variable")
    }
    value = try SpecifierText(String(text[text.index(after: equals)...]))
  }
}

/// One `Condition…=`, as in systemd.unit(5).
package struct HookCondition: Sendable, Hashable {
  /// The conditions by their keys.
  package enum Kind: String, Sendable, CaseIterable {
    case pathExists = "ConditionPathExists"
    case pathIsDirectory = "ConditionPathIsDirectory"
    case fileNotEmpty = "ConditionFileNotEmpty"
    case fileIsExecutable = "ConditionFileIsExecutable"
    case host = "ConditionHost"
    case unitActive = "ConditionUnitActive"
  }

  /// The kind of the condition.
  package var kind: Kind
  /// Whether the condition is written with `|`: at least one of all such conditions must hold.
  package var isTriggering: Bool
  /// Whether the condition is written with `!`: it holds if the rest of it does not.
  package var isNegated: Bool
  /// The path, host or unit of the condition.
  package var parameter: SpecifierText

  init(parsing text: String, kind: Kind) throws(HookValueError) {
    var rest = text[...]
    self.kind = kind
    isTriggering = rest.hasPrefix("|")
    if isTriggering { rest = rest.dropFirst().drop { $0 == " " } }
    isNegated = rest.hasPrefix("!")
    if isNegated { rest = rest.dropFirst().drop { $0 == " " } }
    guard !rest.isEmpty, !rest.hasPrefix("|"), !rest.hasPrefix("!") else {
      throw HookValueError("'\(text)' does not have the form [|][!]VALUE")
    }
    var value = String(rest)
    switch kind {
    case .pathExists, .pathIsDirectory, .fileNotEmpty, .fileIsExecutable:
      guard value.hasPrefix("/") || value.hasPrefix("%") else {
        throw HookValueError("'\(value)' is not an absolute path")
      }
    case .unitActive:
      if !value.contains("%"), UnitName(value).suffix == nil { value += ".service" }
    case .host: break
    }
    parameter = try SpecifierText(value)
  }
}
