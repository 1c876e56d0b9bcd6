internal import Glibc
package import JournalHookCore
internal import Systemd

/// A program that a hook runs, as it was when the hook was loaded.
package struct LoadedProgram: Sendable, Equatable {
  /// The path, as it is opened again for each run.
  package var path: String
  package var identity: FileIdentity

  /// Opens the program that was loaded; throws if it is another one now, or may not be run any more.
  func open() throws(HookError) -> TrustedFile {
    do throws(TrustError) {
      let file = try HookReader.openProgram(path)
      if file.identity == identity { return file }
    } catch {
      throw HookError(
        description: "\(error)", isRefusal: error.isRefusal, isTemporary: error.isTemporary,
        isTrustRefusal: error.isRefusal)
    }
    throw HookError(description: "\(path) has changed since the hook was read", isRefusal: true, isChange: true)
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
  var programs: [LoadedProgram] { conditionPrograms + [program] }
  package var programPath: String { program.path }
  package var name: String { hook.name }
  package var definition: HookDefinition { hook.definition }

  /// The program's arguments for an event, beginning with its path.
  func arguments(for event: LifecycleEvent) -> [String] {
    [programPath] + (hook.definition.exec.map { Array($0.expand(for: event).dropFirst()) } ?? [])
  }

  /// The arguments of one of the commands of `ExecCondition=`.
  func arguments(ofCondition index: Int, for event: LifecycleEvent) -> [String] {
    [conditionPrograms[index].path] + definition.execConditions[index].expand(for: event).dropFirst()
  }
}

/// A hook whose program is open, ready to be executed.
struct OpenedHook: ~Copyable {
  let hook: LoadedHook
  let program: TrustedFile
}

/// Why a run cannot begin: something about its hook.
package struct HookError: Error, CustomStringConvertible {
  package let description: String
  /// Whether a rule forbids it, rather than a failure.
  package let isRefusal: Bool
  /// Whether the system, not the hook, is at fault.
  var isTemporary = false
  /// Whether the file must not be used, whoever looks again.
  var isTrustRefusal = false
  /// Whether the file is not the one that was read.
  var isChange = false
  /// The line that is to be changed, if it is not the file as a whole.
  var place: Place?

  typealias Place = (file: String, line: Int)
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
  private(set) var links: Set<String> = []
  /// The files and folders, wherever they are, for which something was refused: it may be mended there.
  private(set) var refusedPaths: Set<String> = []
  /// Called when a run has met with a change that nobody had told of, and the directories were read anew.
  var onUnaskedLoad: (() -> Void)?

  /// The system's hook directories; the first that has a file of a name wins.
  package static let systemDirectories = [
    "/etc/journalhook/hooks.d", "/run/journalhook/hooks.d", "/usr/local/lib/journalhook/hooks.d",
    "/usr/lib/journalhook/hooks.d",
  ]

  /// Whether every hook has to say of which hosts: where the journals of several are read.
  private let requiresHost: Bool

  /// `TimeoutSec=` of hooks that have none, from the next load on.
  var defaultTimeout = Configuration().defaultTimeout

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

  /// Opens a hook's program for a run: what was checked when the hook was loaded, or nothing.
  ///
  /// The hook may have changed since the run was planned: what is now for other events must not run for this one. A hook that
  /// answers another's failure is not asked whether the event is one of its own.
  func open(_ run: Run) throws(HookError) -> OpenedHook {
    let opened = try open(run.hook)
    let names = aliases.names(of: run.event.unit)
    guard run.failed != nil || opened.hook.definition.match.matches(run.event, aliases: names) else {
      throw HookError(
        description: "the hook was changed meanwhile, and is not for this event any more", isRefusal: true)
    }
    return opened
  }

  /// Why no hook of a name can be run; nil if one can.
  func absence(of name: String) -> String? {
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

  private func open(_ name: String) throws(HookError) -> OpenedHook {
    // A program may just have been replaced, and inotify not have told yet: then its definition is read anew, too.
    for isSecondTry in [false, true] {
      guard let hook = byName[name] else { break }
      do throws(HookError) {
        for program in hook.conditionPrograms { _ = try program.open() }
        return OpenedHook(hook: hook, program: try hook.program.open())
      } catch {
        if error.isTemporary || (isSecondTry && !error.isChange) { throw error }
      }
      defer { onUnaskedLoad?() }
      do throws(TrustError) { try load() } catch {
        throw HookError(description: "the hooks cannot be read: \(error)", isRefusal: false, isTemporary: true)
      }
    }
    guard let entry = entries.first(where: { $0.name == name }) else {
      let problem = directoryProblems.first.map { "; \($0)" } ?? ""
      throw HookError(description: "the hook is no longer there\(problem)", isRefusal: true)
    }
    let reason = entry.diagnostics.first { $0.severity == .error }?.description
    throw HookError(description: reason ?? "the hook is masked or is being changed", isRefusal: true)
  }
}

extension TrustError {
  /// Whether the file is there, but not to be trusted: `refused`, where everything else is `broken`.
  var isRefusal: Bool {
    switch problem {
    case .owner, .writable, .setID, .notRegularFile: true
    case .notAbsolute, .notFound, .unreadable, .notFolder, .notExecutable, .carriageReturn, .tooManyLinks, .tooLarge:
      false
    }
  }

  /// How a message about it begins.
  var verdict: String { isRefusal ? "refused" : "cannot be used" }

  /// Whether it could only not be looked at now, as for want of descriptors or memory.
  var isTemporary: Bool {
    if case .unreadable(let code) = problem { SystemError.isTemporary(code) } else { false }
  }
}
