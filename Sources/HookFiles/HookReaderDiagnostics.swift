internal import CSystemd
internal import Glibc
internal import Hooks
internal import Systemd
internal import TrustedFiles

/// Diagnostics about names and kinds of files.
extension HookReader {
  /// Warns of names for which there is no hook: the names of drop-in directories and those in `OnHookFailure=`.
  mutating func adviseOnNames(files: Set<String>) {
    let names = entries.map(\.name)
    for directory in dropInDirectories {
      let hook = String(directory.name.dropLast(2))
      if names.contains(hook) { continue }
      directoryProblems.append(
        names.contains(HookFileNames.hookName(ofFile: hook))
          ? HookDirectoryAdvice.misnamedDropIns(directory.path, of: hook)
          : HookDirectoryAdvice.dropIns(directory.path, of: hook, hooks: names, programs: files))
    }
    let usable = entries.filter { $0.loaded != nil }.map(\.name)
    for index in entries.indices {
      guard let hook = entries[index].loaded?.hook, let name = hook.definition.onHookFailure else { continue }
      let state = entries.first { $0.name == name }.map(\.status.name)
      let problem = HookDirectoryAdvice.onHookFailure(
        name, isProgram: files.contains(name), state: state, hooks: usable)
      if let problem {
        entries[index].diagnostics.append(hook.warning(about: "OnHookFailure", containing: name, problem))
      }
    }
  }

  /// Reports hooks of the same name as broken, because the ledger could not distinguish their runs.
  mutating func refuseDoubleNames() {
    let names = Dictionary(grouping: entries.indices, by: { entries[$0].name }).filter { $0.value.count > 1 }
    for (name, indices) in names {
      for index in indices where entries[index].status != .masked {
        let other = indices.first { $0 != index }.map { entries[$0].path } ?? ""
        entries[index].status = .broken
        entries[index].diagnostics.append(
          Diagnostic(
            file: entries[index].path, line: 1, severity: .error,
            message: "two files define a hook named '\(name)': the other one is \(other); rename one of them"))
      }
    }
  }

  /// The error for a directory that was meant to be a hook: a directory NAME.hook, or a link to a directory; nil if the name is not
  /// that of a directory.
  func describe(directoryAt place: Place) -> Diagnostic? {
    var status = stat()
    guard unsafe stat(place.path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
    return Diagnostic(
      file: place.path, line: 1, severity: .error, message: "refused: it is a directory, not a file")
  }

  /// The diagnostic about a file that was listed and is not found; nil if it was removed meanwhile.
  static func describeMissing(_ path: String, _ error: TrustError) -> Diagnostic? {
    var status = stat()
    let message: String
    if unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK {
      message = "cannot be used: the link leads to \(error.component), which does not exist"
    } else if path.unicodeScalars.contains("\u{FFFD}") {
      message = "cannot be used: its name is not valid UTF-8: rename it"
    } else {
      return nil
    }
    return Diagnostic(file: path, line: 1, severity: .error, message: message)
  }
}
