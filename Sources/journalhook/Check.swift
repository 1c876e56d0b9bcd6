import ArgumentParser
import Glibc
import JournalHookCore
import JournalHookDaemon
import Systemd

/// `journalhook check`: all that is wrong with hooks.
struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Checks hook files, and exits with 1 if one cannot be used.",
    discussion:
      "Without a path all hook directories and journalhook.conf are checked. A unit that the service manager does not know is a warning."
  )

  @Argument(help: "Hook files or directories to check instead.")
  var path: [String] = []

  @Option(name: [.customShort("o"), .long], help: "short or json (one object a line).")
  var output = List.Format.short

  @OptionGroup var hookOptions: HookOptions
  @OptionGroup var managerOptions: ManagerOptions

  func run() throws {
    var diagnostics: [Diagnostic] = []
    var hooks: [LoadedHook] = []
    if path.isEmpty {
      let configuration = ConfigurationStore(paths: configurationPaths(of: managerOptions.manager))
      configuration.load()
      let store = HookStore(directories: try hookOptions.directories(of: managerOptions.manager))
      store.load()
      diagnostics = configuration.diagnostics + store.diagnostics
      hooks = store.hooks
    }
    let directories = try hookOptions.directories(of: managerOptions.manager)
    for path in path {
      let checked = try HookCheck(path: place(of: path, in: directories), otherDirectories: directories)
      diagnostics += checked.diagnostics
      hooks += checked.hooks
    }
    let all = HookStore(directories: directories)
    all.load()
    diagnostics += HookCheck.missingAnswers(of: hooks, known: Set((all.hooks + hooks).map(\.name)))
    diagnostics += HookCheck.unknownAccounts(of: hooks)
    diagnostics += HookCheck.circles(of: hooks)
    diagnostics += HookCheck.unknownUnits(of: hooks, known: managerOptions.manager)
    for diagnostic in diagnostics {
      if output == .json {
        Console.print(diagnostic.json.text)
        continue
      }
      Console.print(Console.paint(diagnostic.description, diagnostic.severity == .error ? .red : .yellow))
    }
    let errors = diagnostics.count { $0.severity == .error }
    if errors > 0 { throw ExitCode(1) }
    if output == .short { tellAliases(of: hooks) }
    if diagnostics.isEmpty, output == .short, Console.showsProgress {
      Console.print("\(hooks.count) hooks, nothing wrong.")
    }
  }

  /// A path as it is; a mere name that is not here, in the hook directories.
  private func place(of path: String, in directories: [String]) -> String {
    let here = absolutePath(path)
    if path.contains("/") || isThere(here) { return here }
    let names = [path, path + ".hook"]
    return directories.lazy.flatMap { folder in names.map { "\(folder)/\($0)" } }.first(where: isThere) ?? here
  }

  private func isThere(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// Which unit's events a hook is run for that names another.
  private func tellAliases(of hooks: [LoadedHook]) {
    let aliases = ManagerConnection.aliases(of: hooks.map(\.hook), manager: managerOptions.manager)
    for hook in hooks {
      for unit in hook.definition.match.namedUnits where aliases.unit(named: unit) != unit {
        Console.print("\(hook.hook.path):1: note: Unit=\(aliases.described(unit))")
      }
    }
  }
}

extension Diagnostic {
  fileprivate var json: JSONObject {
    var object = JSONObject()
    object.add("file", file)
    object.add("line", line)
    object.add("severity", severity.rawValue)
    object.add("message", message)
    return object
  }
}
