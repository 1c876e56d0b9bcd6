import ArgumentParser
internal import CArguments
internal import Lifecycle
internal import Systemd

/// The command `journalhook`.
@main
struct JournalHook: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journalhook",
    abstract: "Runs scripts when systemd units start, stop, fail or restart.",
    discussion: """
      Put a script into /etc/journalhook/hooks.d whose leading comment says which units and events it is for, and run \
      `journalhook follow`.
      """,
    version: "journalhook \(version)",
    subcommands: [Follow.self, Replay.self, Events.self, List.self, Check.self])

  static let version = "0.1.0"

  static func main() {
    let arguments = commandLine()
    refuseUnknownCommand(arguments.first)
    main(joiningValues(arguments))
  }

  /// The arguments of the command line, without the program's name.
  private static func commandLine() -> [String] {
    var count: CInt = 0
    guard let words = unsafe carguments(&count), count > 0 else {
      Console.warn(
        "The arguments of the command line cannot be read: this C library does not pass them to the program.")
      exit(withError: ExitCode.failure)
    }
    return (1..<Int(count)).compactMap { unsafe words[$0].map { unsafe String(cString: $0) } }
  }

  /// Ends the process with the list of commands, as the parser would only say "Unexpected argument".
  private static func refuseUnknownCommand(_ word: String?) {
    let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
    guard let word, !word.hasPrefix("-"), !names.contains(word) else { return }
    let end = suggestion(for: word, among: names)
    Console.warn(
      "There is no command '\(word)'\(end.isEmpty ? "." : end) Commands: \(names.joined(separator: ", ")).")
    exit(withError: ExitCode.validationFailure)
  }

  /// Replaces `-b -1` by `--boot=-1`. journalctl understands both, but the parser would take `-1` for an option: the value of
  /// `--boot` can be left out.
  static func joiningValues(_ arguments: [String]) -> [String] {
    var result: [String] = []
    for argument in arguments {
      if let last = result.last, ["-b", "--boot"].contains(last), argument.hasPrefix("-"), Int(argument) != nil {
        result[result.count - 1] = "--boot=\(argument)"
      } else {
        result.append(argument)
      }
    }
    return result
  }
}
