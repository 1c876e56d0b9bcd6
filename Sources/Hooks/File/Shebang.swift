/// The first line of a script, `#!INTERPRETER [ARGUMENT]`, as the kernel reads it (execve(2)).
package struct Shebang: Sendable, Hashable {
  /// The interpreter: a path, as it is written.
  package let interpreter: String
  /// The rest of the line, which the kernel passes as one argument, with the spaces in it; empty if there is none.
  package let argument: String

  /// Reads the first line of a file; nil if it does not begin with `#!` and a name.
  package init?(_ contents: some Collection<UInt8>) {
    guard contents.starts(with: "#!".utf8) else { return nil }
    // The kernel reads only the first 256 bytes of the line.
    let line = contents.prefix(256).dropFirst(2).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
    let words = String(decoding: line, as: UTF8.self).split(maxSplits: 1) { $0 == " " || $0 == "\t" }
    guard let first = words.first else { return nil }
    interpreter = String(first)
    argument = words.count > 1 ? String(words[1].trimmingBlanks) : ""
  }

  /// The program that finally reads the script.
  package enum Reader: Sendable, Hashable {
    case path(String)
    /// A name that env(1) looks up in PATH.
    case name(String)
    /// The line calls env(1) with options from which the program cannot be seen.
    case unknown
  }

  /// The program that finally reads the script.
  package var reader: Reader {
    guard interpreter.split(separator: "/").last == "env" else { return .path(interpreter) }
    var program = argument[...]
    if program.hasPrefix("-S") {
      program = program.dropFirst(2).trimmingBlanks.prefix { $0 != " " && $0 != "\t" }
    }
    if program.isEmpty || program.hasPrefix("-") || program.contains("=") { return .unknown }
    return program.contains("/") ? .path(String(program)) : .name(String(program))
  }

  /// The shells that can check the syntax of a script without running it.
  private static let shells = ["sh", "dash", "bash", "zsh"]

  /// The command line with which a shell checks the syntax of a script without running it; nil for other programs.
  ///
  /// - Parameters:
  ///   - name: the shell's path or name.
  ///   - script: the script's path.
  package static func syntaxCheck(by name: String, of script: String) -> [String]? {
    guard let shell = name.split(separator: "/").last.map(String.init), shells.contains(shell) else { return nil }
    return switch shell {
    // extglob is on because the script may switch it on, which bash does not see without running the script.
    case "bash": [name, "-n", "-O", "extglob", script]
    // -f keeps zsh from reading the user's startup files.
    case "zsh": [name, "-f", "-n", script]
    default: [name, "-n", script]
    }
  }

  /// The index at which the first line `exit` or `exit STATUS` ends, if it is not indented and comes before the given line. What
  /// follows it need not be a valid script.
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

  /// The line and the message of a syntax error that a shell has printed: `SCRIPT: line 3: …`, `SCRIPT: 3: …`, `SCRIPT:3: …`.
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
