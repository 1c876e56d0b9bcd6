internal import Systemd

/// What to say of names in a hook directory that lead to nothing.
package enum HookDirectoryAdvice {
  /// A file `*.conf` beside the hooks.
  package static func strayDropIn(_ path: String) -> Diagnostic {
    warning(path, "ignored: a drop-in belongs in the directory of its hook, NAME.d")
  }

  /// A file in a directory of drop-ins that is none.
  package static func notDropIn(_ path: String) -> Diagnostic {
    warning(path, "ignored: the name of a drop-in ends with .conf")
  }

  /// A directory beside the hooks that holds hooks.
  package static func nestedHooks(_ path: String) -> Diagnostic {
    warning(path, "ignored: hooks in a directory below a hook directory are not read")
  }

  /// A directory `NAME.hook.d`.
  package static func misnamedDropIns(_ path: String, of file: String) -> Diagnostic {
    let right = HookFileNames.dropInDirectory(ofHook: HookFileNames.hookName(ofFile: file))
    return warning(path, "ignored: the drop-ins of \(file) belong in \(right)")
  }

  /// A directory of drop-ins without their hook.
  ///
  /// - Parameters:
  ///   - hook: the name that the directory's name gives.
  ///   - hooks: the hooks that there are, masked and broken ones included.
  ///   - programs: the other files in the hook directories.
  package static func dropIns(_ path: String, of hook: String, hooks: [String], programs: Set<String>) -> Diagnostic {
    if programs.contains(hook) { return warning(path, "ignored: \(hook) is a program and no hook") }
    // 10-x.d beside the hook 10-x.sh, which is named with its suffix.
    let near = hooks.first { $0.hasPrefix(hook + ".") } ?? nearestName(to: hook, among: hooks)
    let hint = near.map { "; did you mean \(HookFileNames.dropInDirectory(ofHook: $0))?" } ?? ""
    return warning(path, "ignored: there is no hook '\(hook)'" + hint)
  }

  /// What is wrong with an `OnHookFailure=` that names no hook that can answer; nil if it can.
  ///
  /// - Parameters:
  ///   - state: what became of the file of that name in the hook directories.
  ///   - hooks: the names of the hooks that can be run.
  package static func answer(_ name: String, isProgram: Bool, state: String?, hooks: [String]) -> String? {
    if hooks.contains(name) { return nil }
    let reason =
      if let state {
        "hook '\(name)' is \(state)"
      } else if isProgram {
        "'\(name)' is a program and no hook, as it has no definition"
      } else {
        "there is no hook '\(name)'" + suggestion(for: name, among: hooks)
      }
    return "nothing answers a failure of this hook, as \(reason)"
  }

  private static func warning(_ path: String, _ message: String) -> Diagnostic {
    Diagnostic(file: path, line: 1, severity: .warning, message: message)
  }
}
