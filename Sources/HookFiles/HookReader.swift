internal import CSystemd
internal import Glibc
internal import Hooks
internal import Lifecycle
internal import Systemd
package import TrustedFiles

/// Reads all hook directories once.
struct HookReader {
  /// More than any definition needs; of a large program only the beginning is looked at.
  private static let definitionLimit = 64 * 1024

  private let directories: [String]
  private let previous: [String: LoadedHook]
  private(set) var entries: [HookStore.Entry] = []
  private(set) var directoryProblems: [Diagnostic] = []
  private(set) var links: Set<String> = []
  private(set) var refusedPaths: Set<String> = []
  /// What could not be read now, though it may be a moment later: what was read before counts, then.
  private(set) var failure: TrustError?

  /// A file name and the directory that it counts in.
  private struct Place {
    var name: String
    var directory: String
    var path: String { "\(directory)/\(name)" }
  }

  private let requiresHost: Bool
  private let defaultTimeout: TimeSpan

  /// - Parameters:
  ///   - previous: the hooks as they were; a broken definition keeps what it said.
  ///   - requiresHost: whether a hook without `Host=` is an error.
  ///   - defaultTimeout: `TimeoutSec=` of a hook that has none.
  init(directories: [String], previous: [String: LoadedHook], requiresHost: Bool, defaultTimeout: TimeSpan) {
    self.defaultTimeout = defaultTimeout
    self.requiresHost = requiresHost
    self.directories = directories
    self.previous = previous
  }

  mutating func read() {
    var places: [String: Place] = [:]
    var dropIns: [String: [String: Place]] = [:]
    for parent in directories {
      do {
        let directory = try TrustedDirectory.open(parent)
        for name in try directory.names() {
          if name.hasSuffix(".d"), let inner = dropInNames(in: name, of: directory) {
            let path = "\(parent)/\(name)"
            if inner.contains(where: HookFileNames.isDropIn) {
              dropInDirectories.append(Place(name: name, directory: parent))
            }
            for file in inner where HookFileNames.isDropIn(file) && dropIns[name]?[file] == nil {
              dropIns[name, default: [:]][file] = Place(name: file, directory: path)
            }
            for file in inner where !HookFileNames.isDropIn(file) && !HookFileNames.isIgnored(file) {
              directoryProblems.append(HookDirectoryAdvice.notDropIn("\(path)/\(file)"))
            }
          } else if HookFileNames.isDropIn(name) {
            directoryProblems.append(HookDirectoryAdvice.strayDropIn("\(parent)/\(name)"))
          } else if !HookFileNames.isIgnored(name), places[name] == nil {
            places[name] = Place(name: name, directory: parent)
          }
        }
      } catch {
        // Of the directories that are looked at by default most do not exist.
        if error.problem == .notFound { continue }
        note(error)
        directoryProblems.append(
          Diagnostic(file: parent, line: 1, severity: .error, message: "directory refused: \(error)"))
      }
    }
    for place in places.values.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
      read(place, dropIns: dropIns)
    }
    // What a hook runs is a program, whatever its text shows.
    let programs = Set(entries.flatMap { $0.loaded?.programs ?? [] }.map(\.path))
    entries.removeAll { misplaced.contains($0.path) && programs.contains($0.path) }
    refuseDoubleNames()
    adviseOnNames(files: Set(places.keys))
  }

  /// The files with a definition where it does not count.
  private var misplaced: Set<String> = []
  /// The directories that hold drop-ins.
  private var dropInDirectories: [Place] = []

  /// What names say that lead to no hook: those of drop-ins' directories and those in `OnHookFailure=`.
  private mutating func adviseOnNames(files: Set<String>) {
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
      let problem = HookDirectoryAdvice.onHookFailure(name, isProgram: files.contains(name), state: state, hooks: usable)
      if let problem {
        entries[index].diagnostics.append(hook.warning(about: "OnHookFailure", containing: name, problem))
      }
    }
  }

  private mutating func read(_ place: Place, dropIns: [String: [String: Place]]) {
    let name = HookFileNames.hookName(ofFile: place.name)
    let inDirectories = dropIns[HookFileNames.dropInDirectory(ofHook: name)] ?? [:]
    var entry = HookStore.Entry(name: name, path: place.path, status: .broken, diagnostics: [])
    do {
      if let refusal = refusedDropIns[HookFileNames.dropInDirectory(ofHook: name)] { throw refusal }
      let directory = try TrustedDirectory.open(place.directory)
      if try directory.isMask(place.name) {
        entry.status = .masked
        entries.append(entry)
        return
      }
      let file = try directory.openFile(place.name)
      if file.path != place.path { links.insert(place.path) }
      let kind: HookKind =
        place.name.hasSuffix(HookFileNames.definitionSuffix)
        ? .definitionFile : file.isExecutable ? .executable : .plainFile
      let contents = try file.contents(limit: HookReader.definitionLimit, isDefinition: kind == .definitionFile)
      let merged = try inDirectories.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.compactMap {
        (_, place) throws(TrustError) in try readDropIn(place)
      }
      switch loadHook(
        name: name, path: place.path, kind: kind, contents: contents, dropIns: merged, defaultTimeout: defaultTimeout)
      {
      case .program: return
      case .masked: entry.status = .masked
      case .misplaced(let diagnostic):
        entry.diagnostics = [diagnostic]
        misplaced.insert(place.path)
      case .broken(let diagnostics):
        entry.diagnostics = diagnostics
        // An executable's new body must not run under its old definition; a definition file has no body.
        if kind == .definitionFile, let last = previous[name], last.hook.path == place.path {
          entry.status = .lastGood(last)
        }
      case .hook(let hook, let diagnostics):
        entry.diagnostics = diagnostics
        if requiresHost, hook.definition.match[.host].isEmpty {
          throw HookError(.unusable, "[Match] has no Host=, which every hook needs with --directory or --file")
        }
        var loaded = try resolve(hook)
        let texts = [contents] + merged.flatMap { [Array($0.path.utf8), $0.contents] }
        loaded.digest = HookInventory.digest(
          of: texts.map { String(decoding: $0, as: UTF8.self) }
            + loaded.programs.flatMap { [$0.path, $0.identity.text] })
        entry.status = .active(loaded)
      }
    } catch let error as TrustError {
      note(error)
      // A directory or a device beside the hooks is somebody's mistake, a missing file was just removed.
      if case .notFound = error.problem {
        guard let missing = HookReader.describeMissing(place.path, error) else { return }
        entry.diagnostics.append(missing)
        entries.append(entry)
        return
      }
      if case .notRegularFile = error.problem, let directory = describe(directoryAt: place) {
        entry.status = .refused
        entry.diagnostics.append(directory)
        entries.append(entry)
        return
      }
      entry.status = error.isRefusal ? .refused : .broken
      entry.diagnostics.append(
        Diagnostic(file: place.path, line: 1, severity: .error, message: "\(error.verdict): \(error)"))
    } catch let error as HookError {
      entry.status = error.isRefusal ? .refused : .broken
      let place = error.place ?? (file: place.path, line: 1)
      entry.diagnostics.append(
        Diagnostic(file: place.file, line: place.line, severity: .error, message: error.description))
    } catch {}
    entries.append(entry)
  }

  /// What is in a directory of drop-ins; nil if it is none.
  ///
  /// Without drop-ins that must not be read, a hook would not be what its author has made of it: it is refused.
  private mutating func dropInNames(in name: String, of directory: borrowing TrustedDirectory) -> [String]? {
    do throws(TrustError) {
      return try directory.openDirectory(name).names()
    } catch {
      if case .notDirectory = error.problem { return nil }
      note(error)
      if error.problem != .notFound, refusedDropIns[name] == nil { refusedDropIns[name] = error }
      return []
    }
  }
  /// By directory name.
  private var refusedDropIns: [String: TrustError] = [:]

  private mutating func readDropIn(_ place: Place) throws(TrustError) -> HookDropIn? {
    let directory = try TrustedDirectory.open(place.directory)
    if try directory.isMask(place.name) { return nil }
    let file = try directory.openFile(place.name)
    if file.path != place.path { links.insert(place.path) }
    return HookDropIn(
      path: place.path, contents: try file.contents(limit: HookReader.definitionLimit, isDefinition: true))
  }

  // MARK: Programs

  /// Finds and checks the programs of a hook: the file itself or what `Exec=` names, and those of `ExecCondition=`.
  private mutating func resolve(_ hook: Hook) throws(HookError) -> LoadedHook {
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

  /// The text of a script; not of the programs that come along, whose arguments tell what they do.
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

  /// Where the program of a command is.
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
      // As with hooks: who masks a program hides those behind it.
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

  /// Opens a program under the rules, and checks that it can be executed.
  static func openProgram(_ path: String) throws(TrustError) -> TrustedFile {
    let file = try open(path)
    guard file.isExecutable else { throw TrustError(path: path, component: path, problem: .notExecutable) }
    return file
  }

  private static func open(_ path: String) throws(TrustError) -> TrustedFile {
    do throws(TrustError) {
      return try TrustedFile.open(path)
    } catch {
      // Programs may be executable and unreadable.
      guard case .unreadable(EACCES) = error.problem else { throw error }
      return try TrustedFile.open(path, for: .executing)
    }
  }

  // MARK: Names

  /// Two hooks of one name could not be told apart in the ledger.
  private mutating func refuseDoubleNames() {
    let names = Dictionary(grouping: entries.indices, by: { entries[$0].name }).filter { $0.value.count > 1 }
    for (name, indices) in names {
      for index in indices where entries[index].status != .masked {
        let other = indices.first { $0 != index }.map { entries[$0].path } ?? ""
        entries[index].status = .broken
        entries[index].diagnostics.append(
          Diagnostic(
            file: entries[index].path, line: 1, severity: .error,
            message: "two files are named '\(name)': the other one is \(other); rename one of them"))
      }
    }
  }

  /// What to say of a directory where a hook might be: one that is called so, or is linked to, was meant to be one.
  private func describe(directoryAt place: Place) -> Diagnostic? {
    var status = stat()
    guard unsafe stat(place.path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
    let isPlain = unsafe lstat(place.path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    let isMeant = !isPlain || place.name.hasSuffix(HookFileNames.definitionSuffix)
    return Diagnostic(
      file: place.path, line: 1, severity: isMeant ? .error : .warning,
      message: "refused: it is a directory, not a file")
  }

  /// What to say of a file that was listed and is not found; nil if it was removed meanwhile.
  private static func describeMissing(_ path: String, _ error: TrustError) -> Diagnostic? {
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

  private mutating func note(_ error: TrustError) {
    if error.isTemporary { failure = failure ?? error } else { refusedPaths.formUnion([error.path, error.component]) }
  }
}

extension TrustedFile {
  /// A definition file's whole text, or the beginning of a program.
  package func contents(limit: Int, isDefinition: Bool) throws(TrustError) -> [UInt8] {
    if isDefinition { return try readAll(limit: limit) }
    do { return try descriptor.read(limit: limit) } catch {
      throw TrustError(path: path, component: path, problem: .unreadable(error.code))
    }
  }
}
