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
}
