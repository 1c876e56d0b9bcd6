internal import Glibc
package import HookFiles
package import Hooks
package import Lifecycle
internal import Processes
internal import Systemd

/// Checks hook files more thoroughly than loading them does.
package struct HookCheck {
  /// The problems that were found.
  package private(set) var diagnostics: [Diagnostic] = []
  /// The hooks that can be used.
  package private(set) var hooks: [LoadedHook] = []
  /// The number of files that are hooks or should be.
  package private(set) var count = 0

  /// Checks one file or one directory.
  ///
  /// - Parameter otherDirectories: more directories in which to look up the programs of `Exec=`.
  package init(path: String, otherDirectories: [String]) throws {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      diagnostics.append(
        Diagnostic(file: path, line: 1, severity: .error, message: SystemError("cannot be read").description))
      return
    }
    if status.st_mode & S_IFMT == S_IFDIR {
      let store = HookStore(directories: [path] + otherDirectories.filter { $0 != path })
      try store.load()
      let own = store.entries.filter { $0.path.hasPrefix(path + "/") }
      diagnostics =
        store.directoryProblems.filter { $0.file == path || $0.file.hasPrefix(path + "/") } + own.flatMap(\.diagnostics)
      hooks = own.compactMap(\.loaded)
      count = own.count { $0.status != .masked }
      return
    }
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    let directory = String(path[..<slash]).isEmpty ? "/" : String(path[..<slash])
    let name = String(path[path.index(after: slash)...])
    if HookFileNames.isIgnored(name) {
      diagnostics.append(
        Diagnostic(
          file: path, line: 1, severity: .warning, message: "a file with such a name is ignored in a hook directory"))
      return
    }
    let store = HookStore(directories: [directory] + otherDirectories.filter { $0 != directory })
    try store.load()
    diagnostics = store.directoryProblems.filter { $0.file == directory }
    guard let entry = store.entries.first(where: { $0.path == path }) else {
      if diagnostics.isEmpty {
        diagnostics.append(
          Diagnostic(
            file: path, line: 1, severity: .warning,
            message: "not a hook: its leading comment has no [Match] section (a program for Exec= needs none)"))
      }
      return
    }
    diagnostics += entry.diagnostics
    hooks = [entry.loaded].compactMap { $0 }
    count = entry.status == .masked ? 0 : 1
  }

  /// Warns of users and groups that do not exist. Only `check` does this, because looking them up can take long (LDAP).
  package static func unknownAccounts(of hooks: [LoadedHook]) -> [Diagnostic] {
    hooks.compactMap { hook -> Diagnostic? in
      let (user, group) = (hook.definition.user, hook.definition.group)
      guard user != nil || group != nil else { return nil }
      do throws(SystemError) {
        _ = try Account.find(user: user, group: group)
        return nil
      } catch {
        return hook.hook.warning(about: error.path == user ? "User" : "Group", "\(error)")
      }
    }
  }

  /// Warns of hooks that run each other in a cycle, as far as their definitions show it.
  package static func cycles(of hooks: [LoadedHook]) -> [Diagnostic] {
    HookLoops(hooks.map { .init(hook: $0.hook, effects: $0.effects) }).find().compactMap { cycle in
      guard let first = hooks.first(where: { $0.name == cycle[0] }) else { return nil }
      let names = (cycle + [cycle[0]]).joined(separator: " → ")
      return Diagnostic(
        file: first.hook.path, line: 1, severity: .warning,
        message: "this hook is part of a cycle: \(names); a cycle is suspended when it runs")
    }
  }

  /// Warns of hooks for many units that start units which they match themselves.
  package static func cascades(of hooks: [LoadedHook]) -> [Diagnostic] {
    hooks.compactMap { hook in
      guard let found = HookCascade.find(in: hook.definition.match, hook.effects) else { return nil }
      return hook.hook.warning(
        about: "Unit",
        "this hook starts \(found.units), and their event '\(found.event)' runs it again, perhaps endlessly; "
          + "to exclude them: Unit=!\(found.units)")
    }
  }

  /// Warns of units that hooks name and the service manager does not know. Without a connection to a manager it returns nothing.
  package static func unknownUnits(of hooks: [LoadedHook], known manager: Manager) -> [Diagnostic] {
    let connection: Bus? =
      switch manager {
      case .system: geteuid() == 0 ? try? Bus.privateSystemManager() : nil
      case .user: try? Bus.privateUserManager()
      }
    guard let bus = connection else { return [] }
    var diagnostics: [Diagnostic] = []
    var names: Set<String>?
    for hook in hooks {
      for unit in hook.definition.match.namedUnits {
        guard let state = try? bus.loadState(of: unit), state == "not-found" else { continue }
        if names == nil { names = (try? bus.unitNames()) ?? [] }
        let near = nearestUnit(to: unit, among: names ?? []).map { "; did you mean \($0)?" } ?? ""
        // The suffix .service may be left out.
        let isWhole = hook.hook.assignments.contains { $0.key == "Unit" && $0.value.contains(unit) }
        let text = isWhole ? unit : UnitName(unit).withoutSuffix
        diagnostics.append(
          hook.hook.warning(about: "Unit", containing: text, "the service manager knows no unit \(unit)" + near))
      }
    }
    return diagnostics
  }
}
