internal import Glibc
internal import Hooks
internal import Lifecycle
internal import Systemd
package import TrustedFiles

/// The programs of hooks.
extension HookReader {
  /// Finds and checks the programs of a hook: the file itself or the program of `Exec=`, and those of `ExecCondition=`.
  mutating func resolve(_ hook: Hook) throws(HookError) -> LoadedHook {
    let exec = hook.definition.exec
    let program =
      if let exec { try load(exec, "Exec", of: hook) } else { try load(hook.path, nil, at: nil) }
    var loaded = LoadedHook(hook: hook, program: program)
    loaded.effects = HookEffects(exec: exec, script: script(of: loaded))
    for command in hook.definition.execConditions {
      loaded.conditionPrograms.append(try load(command, "ExecCondition", of: hook))
    }
    return loaded
  }

  private mutating func load(_ command: ExecCommand, _ key: String, of hook: Hook) throws(HookError) -> LoadedProgram {
    let place = hook.place(of: key, containing: command.program)
    return try load(find(command, "\(key)=", at: place), "\(key)=", at: place)
  }

  private mutating func load(_ path: String, _ what: String?, at place: HookError.Place?) throws(HookError)
    -> LoadedProgram
  {
    do throws(TrustError) {
      let file = try HookReader.openProgram(path)
      if file.path != path { links.insert(path) }
      try file.checkInterpreter()
      return LoadedProgram(path: path, identity: file.identity)
    } catch {
      note(error)
      throw HookError(error.isRefusal ? .untrusted : .unusable, "\(what ?? error.verdict): \(error)", at: place)
    }
  }

  /// The text of the hook's program, if it is a script; nil for the programs that come with journalhook, whose actions can be
  /// seen in their arguments.
  private mutating func script(of hook: LoadedHook) -> String? {
    let name = hook.programPath.split(separator: "/").last ?? ""
    if ["stop-dependent", "start-dependent", "notify"].contains(name) { return nil }
    do throws(TrustError) {
      let text = try TrustedFile.open(hook.programPath)
        .contents(limit: HookReader.definitionLimit, isDefinition: false)
      return text.starts(with: "#!".utf8) ? String(decoding: text, as: UTF8.self) : nil
    } catch {
      if error.isTemporary { note(error) }
      return nil
    }
  }

  /// The path of a command's program.
  private mutating func find(
    _ command: ExecCommand, _ key: String, at place: HookError.Place
  ) throws(HookError) -> String {
    let program = command.program
    if program.hasPrefix("/") { return program }
    for directory in directories + ExecCommand.searchPath.split(separator: ":").map(String.init) {
      let path = "\(directory)/\(program)"
      guard unsafe access(path, F_OK) == 0 else {
        let error = TrustError(path: path, component: path, SystemError("access"))
        if error.isTemporary { note(error) }
        continue
      }
      // As with hooks, a mask hides the programs of that name in later directories.
      if directories.contains(directory) {
        do throws(TrustError) {
          if try TrustedDirectory.open(directory).isMask(program) { break }
        } catch {
          if error.isTemporary { note(error) }
        }
      }
      return path
    }
    throw HookError(
      .unusable,
      "\(key): there is no program '\(program)' in the hook directories or in PATH (\(ExecCommand.searchPath))",
      at: place)
  }

  /// Opens a program, and checks that only root and our own user can change it and that it can be executed.
  static func openProgram(_ path: String) throws(TrustError) -> TrustedFile {
    let file = try open(path)
    guard file.isExecutable else { throw TrustError(path: path, component: path, problem: .notExecutable) }
    return file
  }

  private static func open(_ path: String) throws(TrustError) -> TrustedFile {
    do throws(TrustError) {
      return try TrustedFile.open(path)
    } catch {
      // A program may be executable and not readable.
      guard case .unreadable(EACCES) = error.problem else { throw error }
      return try TrustedFile.open(path, for: .executing)
    }
  }
}

extension TrustedFile {
  /// The whole content of a definition file, or the beginning of a program.
  ///
  /// - Parameter limit: the largest size of a definition file, or the size of the part of a program, in bytes.
  package func contents(limit: Int, isDefinition: Bool) throws(TrustError) -> [UInt8] {
    if isDefinition { return try readAll(limit: limit) }
    do { return try descriptor.read(limit: limit) } catch {
      throw TrustError(path: path, component: path, problem: .unreadable(error.code))
    }
  }
}
