internal import Glibc
package import JournalHookCore
internal import Systemd

/// Checks of hook files beyond those that every load makes.
package struct HookCheck {
  package private(set) var diagnostics: [Diagnostic] = []
  package private(set) var hooks: [LoadedHook] = []

  /// Checks one file or one directory.
  ///
  /// - Parameter otherDirectories: where programs of `Exec=` are looked up besides.
  package init(path: String, otherDirectories: [String]) throws {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      diagnostics.append(
        Diagnostic(file: path, line: 1, severity: .error, message: SystemError("cannot be read").description))
      return
    }
    if status.st_mode & S_IFMT == S_IFDIR {
      let store = HookStore(directories: [path] + otherDirectories.filter { $0 != path })
      store.load()
      let own = store.entries.filter { $0.path.hasPrefix(path + "/") }
      diagnostics =
        store.directoryProblems.filter { $0.file == path } + own.flatMap(\.diagnostics)
      hooks = own.compactMap(\.loaded)
      return
    }
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    let folder = String(path[..<slash]).isEmpty ? "/" : String(path[..<slash])
    let name = String(path[path.index(after: slash)...])
    if HookFileNames.isIgnored(name) {
      diagnostics.append(
        Diagnostic(
          file: path, line: 1, severity: .warning, message: "a file of this name is ignored in a hook directory"))
      return
    }
    let store = HookStore(directories: [folder] + otherDirectories.filter { $0 != folder })
    store.load()
    diagnostics = store.directoryProblems.filter { $0.file == folder }
    guard let entry = store.entries.first(where: { $0.path == path }) else {
      if diagnostics.isEmpty {
        diagnostics.append(
          Diagnostic(
            file: path, line: 1, severity: .warning,
            message: "no hook: its leading comment has no [Match] section (a program for Exec= needs none)"))
      }
      return
    }
    diagnostics += entry.diagnostics
    hooks = [entry.loaded].compactMap { $0 }
  }

  /// Warns of hooks whose failure is to be answered by one that is not there.
  package static func missingAnswers(of hooks: [LoadedHook], known: Set<String>) -> [Diagnostic] {
    hooks.compactMap { hook -> Diagnostic? in
      guard let name = hook.definition.onHookFailure, !known.contains(name) else { return nil }
      return hook.hook.warning(
        about: "OnHookFailure", containing: name,
        "there is no hook '\(name)'" + suggestion(for: name, among: known.sorted()))
    }
  }

  /// Warns of users and groups that are not there. To look them up may take long (LDAP), so that only who checks does it.
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

  /// Warns of hooks that drive each other in a circle, where their definitions show it.
  package static func circles(of hooks: [LoadedHook]) -> [Diagnostic] {
    HookCircles(hooks.map { .init(hook: $0.hook, effects: $0.effects) }).find().compactMap { circle in
      guard let first = hooks.first(where: { $0.name == circle[0] }) else { return nil }
      let names = (circle + [circle[0]]).joined(separator: " → ")
      return Diagnostic(
        file: first.hook.path, line: 1, severity: .warning,
        message: "what this hook does leads back to itself: \(names); such circles are suspended while they run")
    }
  }

  /// Warns of units that hooks name and the service manager does not know. Without a manager there is nothing to say.
  package static func unknownUnits(of hooks: [LoadedHook], known manager: Manager) -> [Diagnostic] {
    let connection: Bus? =
      switch manager {
      case .system: geteuid() == 0 ? try? Bus.privateSystemManager() : nil
      case .user: try? Bus.privateUserManager()
      }
    guard let bus = connection else { return [] }
    var diagnostics: [Diagnostic] = []
    for hook in hooks {
      for unit in hook.definition.match.namedUnits {
        guard let state = try? bus.loadState(of: unit), state == "not-found" else { continue }
        diagnostics.append(
          hook.hook.warning(about: "Unit", containing: unit, "the service manager knows no unit \(unit)"))
      }
    }
    return diagnostics
  }
}
