package import EventReading
internal import Glibc
package import HookFiles
package import Hooks
package import Lifecycle
internal import Processes
package import RunLedger
package import Systemd

/// The machine that the daemon works on: everything outside of it that it asks or acts on, but for the files of hooks.
///
/// `SystemDaemonHost` is this machine. A simulation has one whose time, journal, disk, manager and processes it controls.
package protocol DaemonHost: AnyObject {
  var loop: any Loop { get }
  var timers: any Timers { get }
  var reading: any ReadingHost { get }
  /// The name of this process in the ledger, if it is a replay.
  var replayName: String { get }

  /// Prepares the process for running others, before anything is spawned.
  func prepareProcess()
  /// The boot that the machine is in.
  func currentBoot() throws -> CurrentBoot
  /// Takes a state directory for `follow`, for the life of this object.
  func lock(stateDirectory: String) throws
  /// Opens the ledger of a state directory.
  func openLedger(in stateDirectory: String, isFollowing: Bool) throws -> Ledger
  /// What the units that hooks mention are called otherwise; empty if the manager does not say.
  func aliases(of hooks: [Hook], manager: Manager) -> UnitAliases
  /// Whether a unit is made by a file.
  func hasUnitFile(_ unit: String, manager: Manager) -> Bool
  /// What reports changes of hook files; nil if nothing does.
  func hookWatcher(changed: @escaping () -> Void) -> DirectoryWatcher?
  /// What runs hooks.
  func runHost(hooks: HookStore, reporter: Reporter, stateDirectory: String, manager: Manager) -> any RunHost
}

/// This machine.
package final class SystemDaemonHost: DaemonHost {
  private let eventLoop: EventLoop
  package let timers: any Timers
  private var lock: LedgerLock?

  package init(_ loop: EventLoop) throws(SystemError) {
    eventLoop = loop
    timers = try LoopTimers(loop)
  }

  package var loop: any Loop { eventLoop }
  package var reading: any ReadingHost { SystemReadingHost(clocks: timers) }
  package var replayName: String { RunOwner().name }

  package func prepareProcess() {
    // Children are waited for by their pidfds, and a closed pipe must not end journalhook.
    EventLoop.block([SIGCHLD, SIGPIPE])
    // Two or three descriptors a run: the soft limit of 1024 is for programs that use select(2). Hooks get it back.
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  package func currentBoot() throws -> CurrentBoot { try ManagerConnection.currentBoot() }

  package func lock(stateDirectory: String) throws {
    try Ledger.makeDirectory(stateDirectory)
    lock = try LedgerLock(stateDirectory: stateDirectory)
  }

  package func openLedger(in stateDirectory: String, isFollowing: Bool) throws -> Ledger {
    try isFollowing
      ? Ledger.openForFollowing(stateDirectory: stateDirectory) : Ledger(stateDirectory: stateDirectory)
  }

  package func aliases(of hooks: [Hook], manager: Manager) -> UnitAliases {
    ManagerConnection.aliases(of: hooks, manager: manager)
  }

  package func hasUnitFile(_ unit: String, manager: Manager) -> Bool { UnitFiles(of: manager).contains(unit) }

  package func hookWatcher(changed: @escaping () -> Void) -> DirectoryWatcher? {
    DirectoryWatcher(loop: loop, timers: timers, changed: changed)
  }

  package func runHost(
    hooks: HookStore, reporter: Reporter, stateDirectory: String, manager: Manager
  ) -> any RunHost {
    let containment = Containment.establish()
    if case .processTrees(let reason) = containment {
      reporter.say(
        "Runs are not held in cgroups but found by their process tree: \(reason).", .trouble, priority: .notice)
    }
    return SystemRunHost(
      loop: eventLoop, timers: timers, hooks: hooks, reporter: reporter, containment: containment,
      stateDirectory: stateDirectory, manager: manager)
  }
}
