import ArgumentParser

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

  static func main() { main(joiningValues(Array(CommandLine.arguments.dropFirst()))) }

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
