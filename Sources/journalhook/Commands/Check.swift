import ArgumentParser
internal import EventReading
import Glibc
internal import HookFiles
internal import Hooks
internal import JournalHookDaemon
internal import Lifecycle
internal import Systemd

/// `journalhook check`: everything that is wrong with the hooks.
struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Checks hook files, and exits with 1 if one cannot be used.",
    discussion:
      "Without a path it checks all hook directories and journalhook.conf. A unit that the service manager does not know is a warning."
  )

  @Argument(help: "Hook files or directories to check instead.")
  var path: [String] = []

  @Option(name: [.customShort("o"), .long], help: "short, or json (one object per line).")
  var output = List.Format.short

  @OptionGroup var hookOptions: HookOptions
  @OptionGroup var managerOptions: ManagerOptions

  func run() throws {
    let directories = try hookOptions.directories(of: managerOptions.manager)
    var diagnostics: [Diagnostic] = []
    var hooks: [LoadedHook] = []
    var count = 0
    let paths = path.map { resolved($0, in: directories) }
    if path.isEmpty {
      let configuration = ConfigurationStore(paths: configurationPaths(of: managerOptions.manager))
      try configuration.load()
      let store = HookStore(directories: directories)
      try store.load()
      diagnostics = configuration.diagnostics + store.diagnostics
      hooks = store.hooks
      count = store.entries.count { $0.status != .masked }
    }
    for path in paths {
      let checked = try HookCheck(path: path, otherDirectories: directories + Check.directories(of: paths))
      diagnostics += checked.diagnostics
      hooks += checked.hooks
      count += checked.count
    }
    diagnostics += ProgramCheck.problems(of: hooks)
    diagnostics += HookCheck.unknownAccounts(of: hooks)
    diagnostics += HookCheck.cycles(of: hooks)
    diagnostics += HookCheck.cascades(of: hooks)
    diagnostics += HookCheck.unknownUnits(of: hooks, known: managerOptions.manager)
    for diagnostic in diagnostics {
      if output == .json {
        Console.print(diagnostic.json.text)
        continue
      }
      Console.print(Console.paint(diagnostic.description.printable, diagnostic.severity == .error ? .red : .yellow))
    }
    let errors = diagnostics.count { $0.severity == .error }
    if output == .short {
      if errors == 0 { reportAliases(of: hooks) }
      // On standard error: every line of standard output is then one problem.
      let found = "\(Check.text(errors, "error")), \(Check.text(diagnostics.count - errors, "warning"))"
      let places = (path.isEmpty ? directories : paths).joined(separator: ", ")
      Console.progress("\(Check.text(count, "hook")) in \(places): \(found)".printable + "\n")
    }
    if errors > 0 { throw ExitCode(1) }
  }

  /// The directories among some paths, and the directories of the files: hooks that are checked together may name each other.
  private static func directories(of paths: [String]) -> [String] {
    paths.map { path in
      var status = stat()
      if unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return path }
      let slash = path.lastIndex(of: "/") ?? path.startIndex
      return slash == path.startIndex ? "/" : String(path[..<slash])
    }
  }

  private static func text(_ count: Int, _ what: String) -> String { "\(count) \(what)\(count == 1 ? "" : "s")" }

  /// The absolute path of an argument. A name without a slash that the working directory does not have is looked up in the hook
  /// directories.
  private func resolved(_ path: String, in directories: [String]) -> String {
    let here = absolutePath(path)
    if path.contains("/") || exists(here) { return here }
    let names = [path, path + ".hook"]
    return directories.lazy.flatMap { directory in names.map { "\(directory)/\($0)" } }.first(where: exists) ?? here
  }

  private func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// Prints a note for each hook that names a unit by an alias: its events are those of the unit that the alias stands for.
  private func reportAliases(of hooks: [LoadedHook]) {
    let aliases = ManagerConnection.aliases(of: hooks.map(\.hook), manager: managerOptions.manager)
    for hook in hooks {
      for unit in hook.definition.match.namedUnits where aliases.unit(named: unit) != unit {
        Console.print("\(hook.hook.path):1: note: Unit=\(aliases.described(unit))".printable)
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
