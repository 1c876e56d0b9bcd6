internal import CSystemd
internal import Glibc
internal import Hooks
internal import Lifecycle
internal import Systemd
internal import TrustedFiles

/// Reads all hook directories once. `HookStore` has the meaning of the results.
struct HookReader {
  /// The largest size of a definition file, and the part of a program that is searched for a definition, in bytes.
  static let definitionLimit = 64 * 1024

  let directories: [String]
  private let previous: [String: LoadedHook]
  var entries: [HookStore.Entry] = []
  var directoryProblems: [Diagnostic] = []
  var links: Set<String> = []
  private(set) var refusedPaths: Set<String> = []
  /// The first temporary error. If there is one, the results of this reading are not used.
  private(set) var failure: TrustError?

  /// A file name, and the directory whose file of this name is read.
  struct Place {
    var name: String
    var directory: String
    var path: String { "\(directory)/\(name)" }
  }

  private let requiresHost: Bool
  private let defaultTimeout: TimeSpan

  /// Makes a reader.
  ///
  /// - Parameters:
  ///   - previous: the hooks that were read before. If a definition file is now broken, its hook stays the same.
  ///   - requiresHost: whether a hook without `Host=` is an error.
  ///   - defaultTimeout: the timeout of a hook without `TimeoutSec=`.
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
        // Most of the default directories do not exist.
        if error.problem == .notFound { continue }
        note(error)
        directoryProblems.append(
          Diagnostic(file: parent, line: 1, severity: .error, message: "directory refused: \(error)"))
      }
    }
    for place in places.values.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
      read(place, dropIns: dropIns)
    }
    // A file that a hook runs is a program, even if it has a definition in a place where it is not read.
    let programs = Set(entries.flatMap { $0.loaded?.programs ?? [] }.map(\.path))
    entries.removeAll { misplaced.contains($0.path) && programs.contains($0.path) }
    refuseDoubleNames()
    adviseOnNames(files: Set(places.keys))
  }

  /// The paths of files with a definition in a place where it is not read.
  private var misplaced: Set<String> = []
  /// The directories that contain drop-ins.
  var dropInDirectories: [Place] = []
  /// The errors of drop-in directories that may not be read, by the name of the directory.
  private var refusedDropIns: [String: TrustError] = [:]

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
        // The new program of an executable must not run with the old definition. A definition file contains no program.
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
      // A file that is not found was removed since it was listed, and is not an error. A directory or a device among the hooks
      // is one.
      if case .notFound = error.problem {
        guard let missing = HookReader.describeMissing(place.path, error) else { return }
        entry.diagnostics.append(missing)
        entries.append(entry)
        return
      }
      if case .notRegularFile = error.problem, isPlainDirectory(place) {
        if holdsHook(place) { directoryProblems.append(HookDirectoryAdvice.nestedHooks(place.path)) }
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

  /// The names in a drop-in directory; nil if it is not a directory.
  ///
  /// If the directory may not be read, the hook is refused, because without its drop-ins it would not be what its author wants.
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

  private mutating func readDropIn(_ place: Place) throws(TrustError) -> HookDropIn? {
    let directory = try TrustedDirectory.open(place.directory)
    if try directory.isMask(place.name) { return nil }
    let file = try directory.openFile(place.name)
    if file.path != place.path { links.insert(place.path) }
    return HookDropIn(
      path: place.path, contents: try file.contents(limit: HookReader.definitionLimit, isDefinition: true))
  }

  /// Whether a name beside the hooks is that of an ordinary directory. A link to a directory, or a directory NAME.hook, was meant
  /// to be a hook.
  private func isPlainDirectory(_ place: Place) -> Bool {
    var status = stat()
    return unsafe lstat(place.path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
      && !place.name.hasSuffix(HookFileNames.definitionSuffix)
  }

  /// Whether a directory beside the hooks holds hooks, which are not read there. A directory that cannot be read holds none.
  private func holdsHook(_ place: Place) -> Bool {
    guard let parent = try? TrustedDirectory.open(place.directory),
      let directory = try? parent.openDirectory(place.name), let names = try? directory.names()
    else { return false }
    for name in names where !HookFileNames.isIgnored(name) {
      if name.hasSuffix(HookFileNames.definitionSuffix) { return true }
      guard let file = try? directory.openFile(name), file.isExecutable,
        let contents = try? file.contents(limit: HookReader.definitionLimit, isDefinition: false)
      else { continue }
      switch loadHook(name: name, path: file.path, kind: .executable, contents: contents) {
      case .hook, .broken: return true
      case .program, .masked, .misplaced: continue
      }
    }
    return false
  }

  mutating func note(_ error: TrustError) {
    if error.isTemporary { failure = failure ?? error } else { refusedPaths.formUnion([error.path, error.component]) }
  }
}
