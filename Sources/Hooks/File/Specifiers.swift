package import Lifecycle
internal import Systemd

/// A text with specifiers, which stand for facts of the event: `%n`, `%e`, …
package struct SpecifierText: Sendable, Hashable {
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

  /// The text as it was written.
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

  /// The text if it is the same for every event.
  package var constant: String? {
    var result = ""
    for part in parts {
      guard case .text(let text) = part else { return nil }
      result += text
    }
    return result
  }

  /// The text for an event.
  ///
  /// - Parameter localHostname: What `%H` stands for if the event does not say where it happened.
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

/// A command line whose words may contain specifiers. No word is split again after they are expanded.
package struct ExecCommand: Sendable, Hashable {
  /// Where a program without a directory in its name is looked up after the hook directories; also the PATH of scripts.
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
      throw HookValueError("'\(split[0])': the program is checked before there is an event, and cannot depend on it")
    }
    if program.contains("/"), !program.hasPrefix("/") {
      throw HookValueError("'\(program)' is neither an absolute path nor a bare name")
    }
    self.program = program
  }

  /// The words for an event: the program and its arguments.
  package func expand(for event: LifecycleEvent, localHostname: String = "") -> [String] {
    words.map { $0.expand(for: event, localHostname: localHostname) }
  }
}

/// A value that a key cannot have.
package struct HookValueError: Error, Hashable, CustomStringConvertible {
  /// What is wrong, for people.
  package let description: String

  init(_ description: String) { self.description = description }
}
