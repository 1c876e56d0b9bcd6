package import Lifecycle
internal import Systemd

/// A text with specifiers such as `%n` and `%e`, which stand for properties of the event.
package struct SpecifierText: Sendable, Hashable {
  /// The specifiers by their letters.
  package enum Specifier: Character, Sendable, CaseIterable {
    case unit = "n"
    case unitWithoutSuffix = "N"
    case prefix = "p"
    case instance = "i"
    case unescapedInstance = "I"
    case event = "e"
    case result = "r"
    case hostname = "H"
  }

  private enum Part: Hashable {
    case text(String)
    case specifier(Specifier)
  }

  /// The text with its specifiers, as in the file.
  package let source: String
  private let parts: [Part]

  package init(_ source: String) throws(HookValueError) {
    var parts: [Part] = []
    var text = ""
    var rest = source[...]
    while let character = rest.popFirst() {
      guard character == "%" else {
        text.append(character)
        continue
      }
      guard let letter = rest.popFirst() else {
        throw HookValueError("'\(source)' ends with a single %; a percent sign itself is written %%")
      }
      if letter == "%" {
        text.append("%")
      } else if let specifier = Specifier(rawValue: letter) {
        if !text.isEmpty { parts.append(.text(text)) }
        text = ""
        parts.append(.specifier(specifier))
      } else {
        let known = Specifier.allCases.map { "%\($0.rawValue)" }.joined(separator: " ")
        throw HookValueError("there is no specifier %\(letter) (only \(known)); a percent sign itself is written %%")
      }
    }
    if !text.isEmpty { parts.append(.text(text)) }
    self.source = source
    self.parts = parts
  }

  /// The text, if it contains no specifiers.
  package var constant: String? {
    var result = ""
    for part in parts {
      guard case .text(let text) = part else { return nil }
      result += text
    }
    return result
  }

  /// The text with its specifiers expanded for an event.
  ///
  /// - Parameter localHostname: The value of `%H` for an event without a host name.
  package func expand(for event: LifecycleEvent, localHostname: String = "") -> String {
    var result = ""
    for part in parts {
      switch part {
      case .text(let text): result += text
      case .specifier(let specifier): result += Self.value(of: specifier, event, localHostname)
      }
    }
    return result
  }

  private static func value(of specifier: Specifier, _ event: LifecycleEvent, _ localHostname: String) -> String {
    let unit = UnitName(event.unit)
    return switch specifier {
    case .unit: event.unit
    case .unitWithoutSuffix: unit.withoutSuffix
    case .prefix: unit.prefix
    case .instance: unit.instance ?? ""
    case .unescapedInstance: UnitName.unescape(unit.instance ?? "")
    case .event: event.kind.rawValue
    case .result: event.result ?? ""
    case .hostname: event.hostname ?? localHostname
    }
  }
}

/// A command line whose words may contain specifiers. Words are not split again after their specifiers are expanded.
package struct ExecCommand: Sendable, Hashable {
  /// The directories in which a program without a path is looked up, after the hook directories. This is also the PATH of
  /// hooks.
  package static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// The program and its arguments.
  package let words: [SpecifierText]
  /// The program: an absolute path, or a bare name.
  package let program: String

  package init(parsing text: String) throws(HookValueError) {
    let split: [String]
    do { split = try CommandLine.split(text) } catch { throw HookValueError(error.description) }
    var words: [SpecifierText] = []
    for word in split { words.append(try SpecifierText(word)) }
    self.words = words
    guard let program = words[0].constant else {
      throw HookValueError("'\(split[0])': the program is checked before any event, so its path cannot have specifiers")
    }
    if program.contains("/"), !program.hasPrefix("/") {
      throw HookValueError("'\(program)' is neither an absolute path nor a bare name")
    }
    self.program = program
  }

  /// The words with their specifiers expanded for an event: the program and its arguments.
  package func expand(for event: LifecycleEvent, localHostname: String = "") -> [String] {
    words.map { $0.expand(for: event, localHostname: localHostname) }
  }
}

/// Why a key cannot have a value.
package struct HookValueError: Error, Hashable, CustomStringConvertible {
  /// What is wrong, for people.
  package let description: String

  init(_ description: String) { self.description = description }
}
