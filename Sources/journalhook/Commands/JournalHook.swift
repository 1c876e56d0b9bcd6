import ArgumentParser
internal import CArguments
internal import Lifecycle
internal import Systemd

/// The command `journalhook`.
@main
struct JournalHook: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journalhook",
    abstract: "Makes things happen when systemd units start, stop, fail or restart.",
    discussion: """
      Drop a script into /etc/journalhook/hooks.d that says in its leading comment which units and events it answers, and \
      run `journalhook follow`.
      """,
    version: "journalhook \(version)",
    subcommands: [Follow.self, Replay.self, Events.self, List.self, Check.self])

  static let version = "0.1.0"

  static func main() {
    let arguments = commandLine()
    refuseUnknownCommand(arguments.first)
    main(joiningValues(arguments))
  }

  /// What stands behind the program's name.
  private static func commandLine() -> [String] {
    var count: CInt = 0
    guard let words = unsafe carguments(&count), count > 0 else {
      Console.warn("The arguments of the command line cannot be read: this C library does not hand them on.")
      exit(withError: ExitCode.failure)
    }
    return (1..<Int(count)).compactMap { unsafe words[$0].map { unsafe String(cString: $0) } }
  }

  /// Ends with what there is, as nobody can tell that from "Unexpected argument".
  private static func refuseUnknownCommand(_ word: String?) {
    let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
    guard let word, !word.hasPrefix("-"), !names.contains(word) else { return }
    Console.warn(
      "There is no command '\(word)'\(suggestion(for: word, among: names)) Commands: \(names.joined(separator: ", ")). "
        + "See 'journalhook --help'.")
    exit(withError: ExitCode.validationFailure)
  }

  /// Makes `--boot=-1` of `-b -1`, as journalctl understands it: a value that begins with a dash, and may be left out.
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
