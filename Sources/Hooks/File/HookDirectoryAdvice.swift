internal import Systemd

/// Warnings about names in hook directories that have no effect.
package enum HookDirectoryAdvice {
  /// The warning about a file `*.conf` in the hook directory itself.
  package static func strayDropIn(_ path: String) -> Diagnostic {
    warning(path, "ignored: a drop-in belongs in the directory of its hook, NAME.d")
  }

  /// The warning about a file in a drop-in directory that is not a drop-in.
  package static func notDropIn(_ path: String) -> Diagnostic {
    warning(path, "ignored: the name of a drop-in ends with .conf")
  }

  /// A directory beside the hooks that holds hooks.
  package static func nestedHooks(_ path: String) -> Diagnostic {
    warning(path, "ignored: hooks in a directory below a hook directory are not read")
  }

  /// The warning about a directory `NAME.hook.d`.
  package static func misnamedDropIns(_ path: String, of file: String) -> Diagnostic {
    let right = HookFileNames.dropInDirectory(ofHook: HookFileNames.hookName(ofFile: file))
    return warning(path, "ignored: the drop-ins of \(file) belong in \(right)")
  }

  /// The warning about a drop-in directory for which there is no hook.
  ///
  /// - Parameters:
  ///   - hook: the name of the directory without `.d`.
  ///   - hooks: the names of all hooks, including masked and broken ones.
  ///   - programs: the names of the other files in the hook directories.
  package static func dropIns(_ path: String, of hook: String, hooks: [String], programs: Set<String>) -> Diagnostic {
    if programs.contains(hook) { return warning(path, "ignored: \(hook) is a program, not a hook") }
    // The directory is 10-x.d, and the name of the hook has a suffix: 10-x.sh.
    let near = hooks.first { $0.hasPrefix(hook + ".") } ?? nearestName(to: hook, among: hooks)
    let hint = near.map { "; did you mean \(HookFileNames.dropInDirectory(ofHook: $0))?" } ?? ""
    return warning(path, "ignored: there is no hook '\(hook)'" + hint)
  }

  /// The warning about an `OnHookFailure=` that names a hook that cannot be run; nil if that hook can be run.
  ///
  /// - Parameters:
  ///   - name: the value of `OnHookFailure=`.
  ///   - isProgram: whether the hook directories have a file of this name that is not a hook.
  ///   - state: the state of the hook of this name; nil if there is none.
  ///   - hooks: the names of the hooks that can be run.
  package static func onHookFailure(_ name: String, isProgram: Bool, state: String?, hooks: [String]) -> String? {
    if hooks.contains(name) { return nil }
    let reason =
      if let state {
        "hook '\(name)' is \(state)"
      } else if isProgram {
        "'\(name)' is a program without a definition, not a hook"
      } else {
        "there is no hook '\(name)'" + suggestion(for: name, among: hooks)
      }
    return "no hook runs when this hook fails, as \(reason)"
  }

  private static func warning(_ path: String, _ message: String) -> Diagnostic {
    Diagnostic(file: path, line: 1, severity: .warning, message: message)
  }
}
