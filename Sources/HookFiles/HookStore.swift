internal import Glibc
package import Hooks
package import Lifecycle
package import Systemd
package import TrustedFiles

/// A program that a hook runs, and its identity when the hook was loaded.
package struct LoadedProgram: Sendable, Equatable {
  /// The path, which is opened again for each run.
  package var path: String
  /// The identity of the file when the hook was loaded.
  package var identity: FileIdentity

  /// Opens the program.
  ///
  /// - Throws: an error if the file has changed since the hook was loaded, or may no longer be run.
  package func open() throws(HookError) -> TrustedFile {
    do throws(TrustError) {
      let file = try HookReader.openProgram(path)
      if file.identity == identity { return file }
    } catch {
      throw HookError(error.isTemporary ? .temporary : error.isRefusal ? .untrusted : .unusable, "\(error)")
    }
    throw HookError(.changed, "\(path) has changed since the hook was read")
  }
}

/// A hook, and the programs that it runs, all of which were checked.
package struct LoadedHook: Sendable, Equatable {
  /// The definition, and where it was read.
  package var hook: Hook
  /// The program of `Exec=`, or the executable with the definition itself.
  package var program: LoadedProgram
  /// The programs of `ExecCondition=`, in order.
  package var conditionPrograms: [LoadedProgram] = []
  /// A digest of the definition, its drop-ins and its programs.
  package var digest = ""
  /// The known actions of the hook on units.
  package var effects = HookEffects(exec: nil, script: nil)

  /// All programs that a run may execute.
  package var programs: [LoadedProgram] { conditionPrograms + [program] }
  /// The path of the program.
  package var programPath: String { program.path }
  package var name: String { hook.name }
  /// The values of the hook's keys.
  package var definition: HookDefinition { hook.definition }

  /// The program's arguments for an event. The first is its path.
  package func arguments(for event: LifecycleEvent) -> [String] {
    [programPath] + (hook.definition.exec.map { Array($0.expand(for: event).dropFirst()) } ?? [])
  }

  /// The arguments of one of the commands of `ExecCondition=`.
  package func arguments(ofCondition index: Int, for event: LifecycleEvent) -> [String] {
    [conditionPrograms[index].path] + definition.execConditions[index].expand(for: event).dropFirst()
  }
}

/// A hook with its program open, ready to be executed.
package struct OpenedHook: ~Copyable {
  /// The hook.
  package let hook: LoadedHook
  /// Its program, open.
  package let program: TrustedFile

  /// Returns the program, and discards the rest.
  package consuming func takeProgram() -> TrustedFile { program }
}

/// Why a hook cannot be used, or why a run of it cannot start.
package struct HookError: Error, CustomStringConvertible {
  /// The kinds of reasons, which decide the state of the hook or its run.
  package enum Kind: Sendable {
    /// The hook is broken, or its program cannot be executed.
    case unusable
    /// The hook may not run: it is masked, removed, or no longer for the event.
    case refused
    /// Users other than root and the one that journalhook runs as could change one of its files.
    case untrusted
    /// One of its files has changed since it was read.
    case changed
    /// The system is at fault and not the hook: a later attempt may succeed.
    case temporary
  }

  /// The file and line that are at fault.
  package typealias Place = (file: String, line: Int)

  package let kind: Kind
  package let description: String
  var place: Place?

  package init(_ kind: Kind, _ description: String, at place: Place? = nil) {
    self.kind = kind
    self.description = description
    self.place = place
  }

  /// Whether the hook or its run has the state `refused`, and not `broken` or `failed`.
  package var isRefusal: Bool {
    switch kind {
    case .refused, .untrusted, .changed: true
    case .unusable, .temporary: false
    }
  }
}

/// The hooks in the hook directories, as they were last read.
package final class HookStore {
  /// The result of reading one file in the hook directories.
  package struct Entry: Sendable, Equatable {
    /// The state of the file.
    package enum Status: Sendable, Equatable {
      case active(LoadedHook)
      /// The file is now broken; the last definition without errors stays in use.
      case lastGood(LoadedHook)
      case masked
      case broken
      case refused

      /// The word that `journalhook list` shows.
      package var name: String {
        switch self {
        case .active: "active"
        case .lastGood: "changed"
        case .masked: "masked"
        case .broken: "broken"
        case .refused: "refused"
        }
      }
    }

    package var name: String
    package var path: String
    /// The state of the file, with its hook if there is one.
    package var status: Status
    /// The errors and warnings about the file.
    package var diagnostics: [Diagnostic]

    /// The hook that runs for events; nil if there is none.
    package var loaded: LoadedHook? {
      switch status {
      case .active(let hook), .lastGood(let hook): hook
      case .masked, .broken, .refused: nil
      }
    }
  }

  /// The hook directories, the one with the highest priority first.
  package let directories: [String]
  /// The files that are hooks or were meant to be, in the order of their names.
  package private(set) var entries: [Entry] = []
  /// The errors and warnings about the directories themselves.
  package private(set) var directoryProblems: [Diagnostic] = []
  private var byName: [String: LoadedHook] = [:]
  /// The other names of units in events, as the running service manager has them.
  package var aliases = UnitAliases()
  /// The paths of files and programs that are symbolic links.
  package private(set) var links: Set<String> = []
  /// The files and directories that made a hook unusable: a change there may make it usable. They need not be in the hook
  /// directories.
  package private(set) var refusedPaths: Set<String> = []
  /// Called when `open(_:)` has found a file that has changed, and has read the directories again by itself.
  package var onLoadWhileOpening: (() -> Void)?

  /// The system's hook directories. If several have a file of the same name, the one in the first directory is read.
  package static let systemDirectories = [
    "/etc/journalhook/hooks.d", "/run/journalhook/hooks.d", "/usr/local/lib/journalhook/hooks.d",
    "/usr/lib/journalhook/hooks.d",
  ]

  /// Whether every hook must have `Host=`, because the journals of several hosts are read.
  private let requiresHost: Bool

  /// The timeout of hooks without `TimeoutSec=`, from the next load on.
  package var defaultTimeout = Configuration().defaultTimeout

  package init(directories: [String], requiresHost: Bool = false) {
    self.directories = directories
    self.requiresHost = requiresHost
  }

  /// The inventory of the loaded hooks.
  package var inventory: HookInventory {
    HookInventory(byName.mapValues { HookInventory.Item(path: $0.hook.path, digest: $0.digest) })
  }

  /// The hooks that run for events, in the order of their file names.
  package var hooks: [LoadedHook] { entries.compactMap(\.loaded) }

  /// All errors and warnings, in the order of the files.
  package var diagnostics: [Diagnostic] { directoryProblems + entries.flatMap(\.diagnostics) }

  /// The loaded hook of a name; nil if there is none.
  package func hook(named name: String) -> LoadedHook? { byName[name] }

  /// Reads the directories.
  ///
  /// - Throws: the first temporary error. Then the hooks stay the same. Events may be matched only after the first load that
  ///   does not throw.
  package func load() throws(TrustError) {
    var reader = HookReader(
      directories: directories, previous: byName, requiresHost: requiresHost, defaultTimeout: defaultTimeout)
    reader.read()
    if let failure = reader.failure { throw failure }
    entries = reader.entries
    directoryProblems = reader.directoryProblems
    links = reader.links
    refusedPaths = reader.refusedPaths
    byName = Dictionary(hooks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Why no hook of a name can be run; nil if the hook can be run.
  package func absence(of name: String) -> String? {
    if byName[name] != nil { return nil }
    guard let entry = entries.first(where: { $0.name == name }) else {
      let paths = directories.map { "\($0)/\(name)" }
      let program = paths.first { path in unsafe access(path, F_OK) == 0 }
      if let program, !HookFileNames.isIgnored(name) {
        return "\(program) is a program without a definition, not a hook"
      }
      return "there is no hook '\(name)'" + suggestion(for: name, among: hooks.map(\.name))
    }
    let reason = entry.diagnostics.first { $0.severity == .error }.map { ": \($0)" } ?? ""
    switch entry.status {
    case .masked: return "hook \(name) is masked (\(entry.path))"
    case .refused: return "hook \(name) is refused\(reason)"
    default: return "hook \(name) is broken\(reason)"
    }
  }

  /// Opens the program of a hook, if it is the one that was checked when the hook was loaded.
  ///
  /// If a file has changed, this reads the directories and tries again, once.
  package func open(_ name: String) throws(HookError) -> OpenedHook {
    // A program may have been replaced before inotify has reported it. Then its definition has to be read again, too.
    for isSecondTry in [false, true] {
      guard let hook = byName[name] else { break }
      do throws(HookError) {
        for program in hook.conditionPrograms { _ = try program.open() }
        return OpenedHook(hook: hook, program: try hook.program.open())
      } catch {
        if error.kind == .temporary || (isSecondTry && error.kind != .changed) { throw error }
      }
      defer { onLoadWhileOpening?() }
      do throws(TrustError) { try load() } catch {
        throw HookError(.temporary, "the hooks cannot be read: \(error)")
      }
    }
    guard let entry = entries.first(where: { $0.name == name }) else {
      let problem = directoryProblems.first.map { "; \($0)" } ?? ""
      throw HookError(.refused, "the hook no longer exists\(problem)")
    }
    let reason = entry.diagnostics.first { $0.severity == .error }?.description
    throw HookError(.refused, reason ?? "the hook is masked or is being changed")
  }
}
