internal import Glibc
package import Hooks
package import Lifecycle
package import Systemd
package import TrustedFiles

/// A program that a hook runs, as it was when the hook was loaded.
package struct LoadedProgram: Sendable, Equatable {
  /// The path, as it is opened again for each run.
  package var path: String
  package var identity: FileIdentity

  /// Opens the program that was loaded; throws if it is another one now, or may not be run any more.
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

/// A hook with the programs that it runs, all checked.
package struct LoadedHook: Sendable, Equatable {
  package var hook: Hook
  package var program: LoadedProgram
  /// The programs of `ExecCondition=`, in order.
  package var conditionPrograms: [LoadedProgram] = []
  /// Of all that it was made of: the definition, its drop-ins, its programs.
  package var digest = ""
  /// What it is known to do to units.
  package var effects = HookEffects(exec: nil, script: nil)

  /// All programs that a run may execute.
  package var programs: [LoadedProgram] { conditionPrograms + [program] }
  package var programPath: String { program.path }
  package var name: String { hook.name }
  package var definition: HookDefinition { hook.definition }

  /// The program's arguments for an event, beginning with its path.
  package func arguments(for event: LifecycleEvent) -> [String] {
    [programPath] + (hook.definition.exec.map { Array($0.expand(for: event).dropFirst()) } ?? [])
  }

  /// The arguments of one of the commands of `ExecCondition=`.
  package func arguments(ofCondition index: Int, for event: LifecycleEvent) -> [String] {
    [conditionPrograms[index].path] + definition.execConditions[index].expand(for: event).dropFirst()
  }
}

/// A hook whose program is open, ready to be executed.
package struct OpenedHook: ~Copyable {
  package let hook: LoadedHook
  package let program: TrustedFile

  /// The program alone.
  package consuming func takeProgram() -> TrustedFile { program }
}

/// Why a hook cannot be used, or a run of it cannot begin.
package struct HookError: Error, CustomStringConvertible {
  package enum Kind: Sendable {
    /// The hook is broken, or its program cannot be executed.
    case unusable
    /// A rule forbids it: the hook is masked, gone, or no longer for the event.
    case refused
    /// Others than root, or than the user that journalhook runs as, could change one of its files.
    case untrusted
    /// A file is not the one that was read.
    case changed
    /// The system is at fault, not the hook: a later try may succeed.
    case temporary
  }

  /// The line that has to be changed, if it is not the file as a whole.
  package typealias Place = (file: String, line: Int)

  package let kind: Kind
  package let description: String
  var place: Place?

  package init(_ kind: Kind, _ description: String, at place: Place? = nil) {
    self.kind = kind
    self.description = description
    self.place = place
  }

  /// Whether a rule forbids the hook, so that its state is `refused`, rather than `broken` or `failed`.
  package var isRefusal: Bool {
    switch kind {
    case .refused, .untrusted, .changed: true
    case .unusable, .temporary: false
    }
  }
}

/// The hooks of some directories, as they are now.
package final class HookStore {
  /// What there is to say of one file in the hook directories.
  package struct Entry: Sendable, Equatable {
    package enum Status: Sendable, Equatable {
      case active(LoadedHook)
      /// The file is broken; what it said before still holds.
      case lastGood(LoadedHook)
      case masked
      case broken
      case refused

      /// As `list` shows it.
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
    package var status: Status
    package var diagnostics: [Diagnostic]

    /// The hook that answers events, if there is one.
    package var loaded: LoadedHook? {
      switch status {
      case .active(let hook), .lastGood(let hook): hook
      case .masked, .broken, .refused: nil
      }
    }
  }

  package let directories: [String]
  /// All files that are hooks or ought to be, by name.
  package private(set) var entries: [Entry] = []
  /// What is wrong with the directories themselves.
  package private(set) var directoryProblems: [Diagnostic] = []
  private var byName: [String: LoadedHook] = [:]
  /// The other names of the units that events are about, as the live manager has them.
  package var aliases = UnitAliases()
  /// The files and programs that were found through links.
  package private(set) var links: Set<String> = []
  /// The files and directories, wherever they are, for which something was refused: it may be mended there.
  package private(set) var refusedPaths: Set<String> = []
  /// Called when a run has met with a change that nobody had told of, and the directories were read anew.
  package var onUnaskedLoad: (() -> Void)?

  /// The system's hook directories; the first that has a file of a name wins.
  package static let systemDirectories = [
    "/etc/journalhook/hooks.d", "/run/journalhook/hooks.d", "/usr/local/lib/journalhook/hooks.d",
    "/usr/lib/journalhook/hooks.d",
  ]

  /// Whether every hook has to say of which hosts: where the journals of several are read.
  private let requiresHost: Bool

  /// `TimeoutSec=` of hooks that have none, from the next load on.
  package var defaultTimeout = Configuration().defaultTimeout

  package init(directories: [String], requiresHost: Bool = false) {
    self.directories = directories
    self.requiresHost = requiresHost
  }

  /// What is loaded, to be compared with what another process or another time has.
  package var inventory: HookInventory {
    HookInventory(byName.mapValues { HookInventory.Item(path: $0.hook.path, digest: $0.digest) })
  }

  /// The hooks that answer events, by file name.
  package var hooks: [LoadedHook] { entries.compactMap(\.loaded) }

  /// All that is wrong, in the order of the files.
  package var diagnostics: [Diagnostic] { directoryProblems + entries.flatMap(\.diagnostics) }

  package func hook(named name: String) -> LoadedHook? { byName[name] }

  /// Reads the directories anew.
  ///
  /// - Throws: the first failure that is temporary. The hooks are what they were, then, and no event may be matched before
  ///   they were read completely once.
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

  /// Why no hook of a name can be run; nil if one can.
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

  /// Opens the program of a hook: what was checked when the hook was loaded, or nothing.
  package func open(_ name: String) throws(HookError) -> OpenedHook {
    // A program may just have been replaced, and inotify not have told yet: then its definition is read anew, too.
    for isSecondTry in [false, true] {
      guard let hook = byName[name] else { break }
      do throws(HookError) {
        for program in hook.conditionPrograms { _ = try program.open() }
        return OpenedHook(hook: hook, program: try hook.program.open())
      } catch {
        if error.kind == .temporary || (isSecondTry && error.kind != .changed) { throw error }
      }
      defer { onUnaskedLoad?() }
      do throws(TrustError) { try load() } catch {
        throw HookError(.temporary, "the hooks cannot be read: \(error)")
      }
    }
    guard let entry = entries.first(where: { $0.name == name }) else {
      let problem = directoryProblems.first.map { "; \($0)" } ?? ""
      throw HookError(.refused, "the hook is no longer there\(problem)")
    }
    let reason = entry.diagnostics.first { $0.severity == .error }?.description
    throw HookError(.refused, reason ?? "the hook is masked or is being changed")
  }
}
