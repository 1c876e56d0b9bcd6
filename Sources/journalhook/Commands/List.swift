import ArgumentParser
internal import EventReading
internal import HookFiles
internal import Hooks
internal import JournalHookDaemon
internal import Lifecycle
internal import RunLedger
internal import Runs
internal import Systemd

/// `journalhook list`: the hooks, their state and their last run.
struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the hooks, their state and their last run.")

  enum Format: String, ExpressibleByArgument, CaseIterable { case short, json }

  @Option(name: [.customShort("o"), .long], help: "short, or json (one object per line).")
  var output = Format.short

  @OptionGroup var hookOptions: HookOptions
  @OptionGroup var managerOptions: ManagerOptions
  @OptionGroup var state: StateOptions

  func run() throws {
    let hooks = HookStore(directories: try hookOptions.directories(of: managerOptions.manager))
    try hooks.load()
    hooks.aliases = ManagerConnection.aliases(of: hooks, manager: managerOptions.manager)
    let stateDirectory = state.directory(of: managerOptions.manager)
    let ledger = try? Ledger(stateDirectory: stateDirectory, readOnly: true)
    let isUnreadable = ledger == nil && Ledger.isHidden(in: stateDirectory)
    if isUnreadable {
      Console.warn("The ledger in \(stateDirectory) cannot be read. Run as root to see the last runs.")
    }
    for problem in hooks.directoryProblems { Console.warn("\(problem)") }
    let isFollowed = LedgerLock.isHeld(in: stateDirectory)
    let loaded = isFollowed == true ? try? ledger?.loadedHooks() : nil
    let rows = hooks.entries.map { entry in
      let last = (try? ledger?.lastRun(of: entry.name)) ?? nil
      return Row(
        entry: entry, last: last, isUnknown: isUnreadable, aliases: hooks.aliases,
        loaded: loaded.map { .init(entry, $0.items[entry.name]) })
    }
    let names = Set(rows.map(\.entry.name))
    let removed = loaded?.changes(since: HookInventory()).filter { !names.contains($0.name) }
    if output == .json {
      rows.forEach { Console.print($0.json.text) }
      removed?.forEach { Console.print(List.json(ofRemoved: $0).text) }
      return
    }
    if isFollowed == false {
      let user = managerOptions.manager == .system ? "" : " --user"
      Console.warn(
        "journalhook follow is not running with the state directory \(stateDirectory), so no hook runs. Start it: "
          + "systemctl\(user) start journalhook.")
    }
    if rows.isEmpty {
      Console.warn("There are no hooks in \(hooks.directories.joined(separator: ", ")).")
    }
    let width = names.union((removed ?? []).map(\.name)).map(\.printable.count).max() ?? 0
    let stateWidth = max(7, rows.map(\.state.count).max() ?? 0)
    for row in rows {
      let name = row.entry.name.printable.padding(to: width)
      let isAsOnDisk = row.isUsable && row.state == row.entry.status.name
      let state = Console.paint(
        row.state.padding(to: stateWidth), isAsOnDisk ? .green : row.state == "masked" ? .dim : .red)
      let last = Console.paint(row.lastRun.padding(to: 36), row.hasFailed ? .red : nil)
      Console.print("\(name)  \(state)  \(last)  \(row.purpose.printable)")
    }
    for hook in removed ?? [] {
      let state = Console.paint("removed".padding(to: stateWidth), .red)
      let text = "it is still loaded, but no longer on disk: \(hook.path)"
      Console.print("\(hook.name.printable.padding(to: width))  \(state)  \(text.printable)")
    }
  }

  private static func json(ofRemoved hook: HookInventory.Change) -> JSONObject {
    var object = JSONObject()
    object.add("hook", hook.name)
    object.add("state", "removed")
    object.add("path", hook.path)
    object.add("loaded", Row.Loaded.yes.rawValue)
    return object
  }

  private struct Row {
    let entry: HookStore.Entry
    let last: (state: Run.State, unit: String, time: UInt64)?
    /// Whether the ledger could not be read, so that the last run is not known.
    let isUnknown: Bool
    let aliases: UnitAliases
    /// Whether follow has loaded what is on disk; nil if that is not known.
    let loaded: Loaded?

    enum Loaded: String {
      case yes, no
      /// It has loaded an earlier definition.
      case changed

      init(_ entry: HookStore.Entry, _ item: HookInventory.Item?) {
        self = item.map { $0.digest == entry.loaded?.digest && $0.path == entry.path ? .yes : .changed } ?? .no
      }
    }

    var isUsable: Bool { entry.loaded != nil }

    var state: String {
      switch (entry.status, loaded) {
      case (.active, .changed): "changed"
      case (.active, .no): "not loaded yet"
      default: entry.status.name
      }
    }

    var lastRun: String {
      guard let last else { return isUnknown ? "unknown" : "never run" }
      return "\(last.state.rawValue) \(Timestamp(microseconds: last.time).shortLocal)"
    }

    /// Whether the last run has failed or was refused.
    var hasFailed: Bool { last.map { $0.state.isFailure || $0.state == .refused } ?? false }

    /// What the hook is for, or the reason why it cannot be used.
    var purpose: String {
      let error = entry.diagnostics.first { $0.severity == .error }
      if let error, !isUsable || entry.status.name == "changed" {
        return "\(error)" + (loaded == .changed ? "; its earlier definition is still in use" : "")
      }
      guard let definition = entry.loaded?.definition else { return entry.path }
      let units = definition.match[.unit].map { aliases.described($0.description) }.joined(separator: " ")
      let events = definition.match[.event].map(\.description).joined(separator: " ")
      guard let description = definition.description else { return "\(units): \(events)" }
      let named = definition.match.namedUnits.map(aliases.described).filter { $0.hasSuffix(")") }
      return named.isEmpty ? description : "\(description); \(named.joined(separator: ", "))"
    }

    var json: JSONObject {
      var object = JSONObject()
      object.add("hook", entry.name)
      object.add("state", entry.status.name)
      object.add("path", entry.path)
      object.add("loaded", loaded?.rawValue)
      if let loaded = entry.loaded {
        object.add("description", loaded.definition.description)
        object.add("unit", loaded.definition.match[.unit].map(\.description))
        let others = loaded.definition.match.namedUnits.filter { aliases.unit(named: $0) != $0 }
        if !others.isEmpty {
          object.add("alias_of") { alias in
            for unit in others { alias.add(named: unit, aliases.unit(named: unit)) }
          }
        }
        object.add("event", loaded.definition.match[.event].map(\.description))
        object.add("program", loaded.programPath)
        object.add("drop_ins", loaded.hook.dropIns)
      }
      if let last {
        object.add("last_run") { run in
          run.add("state", last.state.rawValue)
          run.add("unit", last.unit)
          run.add("time", Timestamp(microseconds: last.time).iso8601UTC)
        }
      }
      object.add("problems", entry.diagnostics.map(\.description))
      return object
    }
  }
}

extension String {
  /// The text, filled up with spaces to a width.
  func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
