/// The first line of a script, `#!INTERPRETER [ARGUMENT]`, as the kernel reads it (execve(2)).
package struct Shebang: Sendable, Hashable {
  package let interpreter: String
  /// All that follows; the kernel passes it as one argument, blanks included. Empty if there is nothing.
  package let argument: String

  /// nil if the text does not begin with `#!` and a name.
  package init?(_ contents: some Collection<UInt8>) {
    guard contents.starts(with: "#!".utf8) else { return nil }
    // The kernel looks no further than at 256 bytes.
    let line = contents.prefix(256).dropFirst(2).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
    let words = String(decoding: line, as: UTF8.self).split(maxSplits: 1) { $0 == " " || $0 == "\t" }
    guard let first = words.first else { return nil }
    interpreter = String(first)
    argument = words.count > 1 ? String(words[1].trimmingBlanks) : ""
  }

  /// What reads the script in the end.
  package enum Reader: Sendable, Hashable {
    case path(String)
    /// A name that env(1) looks up in PATH.
    case name(String)
    /// env(1) with options, where it cannot be told.
    case unknown
  }

  package var reader: Reader {
    guard interpreter.split(separator: "/").last == "env" else { return .path(interpreter) }
    var program = argument[...]
    if program.hasPrefix("-S") {
      program = program.dropFirst(2).trimmingBlanks.prefix { $0 != " " && $0 != "\t" }
    }
    if program.isEmpty || program.hasPrefix("-") || program.contains("=") { return .unknown }
    return program.contains("/") ? .path(String(program)) : .name(String(program))
  }

  /// The shells whose syntax can be tried without running anything.
  private static let shells = ["sh", "dash", "bash", "zsh"]

  /// The arguments with which a shell only reads a script; nil for other programs.
  ///
  /// - Parameters:
  ///   - name: the shell's path or name.
  ///   - script: the script's path.
  package static func syntaxCheck(by name: String, of script: String) -> [String]? {
    guard let shell = name.split(separator: "/").last.map(String.init), shells.contains(shell) else { return nil }
    return switch shell {
    // A script may switch extended patterns on, which bash learns only by running it.
    case "bash": [name, "-n", "-O", "extglob", script]
    // Without reading anybody's settings.
    case "zsh": [name, "-f", "-n", script]
    default: [name, "-n", script]
    }
  }

  /// The end of a script's first line `exit` or `exit STATUS` that is not indented, if it is above a line.
  package static func end(of contents: [UInt8], before line: Int) -> Int? {
    var number = 1
    var rest = contents[...]
    while number < line, !rest.isEmpty {
      let text = rest.prefix { $0 != UInt8(ascii: "\n") }
      let words = text.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: ";") }
      if text.starts(with: "exit".utf8), words.first?.elementsEqual("exit".utf8) == true, words.count <= 2 {
        return text.endIndex
      }
      rest = rest.dropFirst(text.count + 1)
      number += 1
    }
    return nil
  }

  /// The line and the message of what a shell says of a script's syntax: `SCRIPT: line 3: …`, `SCRIPT: 3: …`, `SCRIPT:3: …`.
  package static func syntaxError(in output: String, of script: String) -> (line: Int, message: String)? {
    guard let first = output.split(separator: "\n").first else { return nil }
    guard first.hasPrefix(script + ":") else { return (1, String(first)) }
    var rest = first.dropFirst(script.count + 1).trimmingBlanks
    if rest.hasPrefix("line ") { rest = rest.dropFirst(5) }
    let digits = rest.prefix(while: \.isNumber)
    let message = rest[digits.endIndex...].drop { $0 == ":" || $0 == " " }
    return (Int(digits) ?? 1, String(message))
  }
}

extension StringProtocol where SubSequence == Substring {
  fileprivate var trimmingBlanks: Substring {
    var text = drop { $0 == " " || $0 == "\t" || $0 == "\r" }
    while let last = text.last, " \t\r".contains(last) { text.removeLast() }
    return text
  }
}
