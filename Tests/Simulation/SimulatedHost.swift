internal import CSimulatedDisk
internal import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
internal import JournalHookDaemon
internal import Lifecycle
internal import RunLedger
internal import SimulatedSystem
internal import Systemd

/// The simulated machine, as one process of journalhook sees it.
final class SimulatedHost: DaemonHost, ReadingHost {
  private unowned let world: World
  let processTimers: ProcessTimers
  let processLoop = ProcessLoop()
  let replayName: String
  /// The name of the process in stories.
  private let name: String
  private let owner: CInt
  private var chance: Chance
  private var journals: [Weak<SimulatedJournal>] = []
  private var links: [Weak<SimulatedLink>] = []
  private(set) var runs: SimulatedRunHost?
  /// Whether the process has died. What it still does then has no effect.
  var isDead = false
  /// How many reads of the journal fail from now on.
  var readErrors = 0
  private var wakes: [Timer] = []

  private struct Weak<Object: AnyObject> {
    weak var object: Object?
  }

  init(_ world: World, name: String, owner: CInt, seed: UInt64) {
    self.world = world
    self.owner = owner
    self.name = name
    processTimers = ProcessTimers(world.clock)
    replayName = "replay-\(owner)-\(owner)"
    chance = Chance(seed)
    processLoop.onWatch = { [unowned self] in
      let descriptor = $0
      guard journals.contains(where: { $0.object?.descriptor == descriptor && $0.object?.isReady == true }) else {
        return
      }
      wakes.removeAll { $0.time < processTimers.monotonic }
      wakes.append(processTimers.callSoon { [unowned self] in wake(descriptor) })
    }
  }

  // MARK: The daemon's host

  var loop: any Loop { processLoop }
  var timers: any Timers { processTimers }
  var reading: any ReadingHost { self }

  func prepareProcess() {}
  func currentBoot() throws -> CurrentBoot { CurrentBoot(id: world.manager.boot.id) }
  func lock(stateDirectory: String) throws {}

  func openLedger(in stateDirectory: String, isFollowing: Bool) throws -> Ledger {
    simdisk_set_owner(world.disk.handle, owner)
    let ledger = try Ledger(stateDirectory: stateDirectory, vfs: world.disk.name)
    ledger.isAlive = { [unowned world] in world.isAlive($0) }
    return ledger
  }

  func aliases(of hooks: [Hook], manager: Manager) -> UnitAliases { UnitAliases() }
  func hasUnitFile(_ unit: String, manager: Manager) -> Bool { true }
  func hookWatcher(changed: @escaping () -> Void) -> DirectoryWatcher? { nil }

  func runHost(
    hooks: HookStore, reporter: Reporter, stateDirectory: String, manager: Manager
  ) -> any RunHost {
    let host = SimulatedRunHost(
      hooks: hooks, processes: world.hooks, timers: processTimers, manager: world.answers, seed: chance.next(),
      name: name,
      isDead: { [unowned self] in isGone })
    runs = host
    return host
  }

  /// Whether the process has died, by itself or in the middle of writing to the disk.
  var isGone: Bool { isDead || simdisk_is_dead(world.disk.handle, owner) }

  // MARK: The journal's host

  var clocks: any Clocks { processTimers }
  func machine() throws(SystemError) -> String { world.manager.machine.id }
  func boot() throws(SystemError) -> String { world.manager.boot.id }
  var hostname: String? { world.manager.machine.hostname }
  var hasJournalDirectories: Bool { false }

  func open(_ source: Journal.Source) throws(SystemError) -> any JournalFiles {
    world.descriptors += 1
    let journal = SimulatedJournal(world.journald, descriptor: world.descriptors) { [weak self] in
      guard let self, readErrors > 0 else { return nil }
      readErrors -= 1
      return SystemError("read the next journal entry", code: ENOMEM)
    }
    journals.removeAll { $0.object == nil }
    journals.append(Weak(object: journal))
    return journal
  }

  func connect(to manager: Manager) throws(SystemError) -> any ManagerLink {
    guard world.isBusOpen else { throw SystemError("connect to", path: "/run/systemd/private", code: ECONNREFUSED) }
    let link = SimulatedLink(to: world.answers, timers: processTimers, seed: chance.next())
    links.removeAll { $0.object == nil }
    links.append(Weak(object: link))
    return link
  }

  // MARK: What happens

  /// The journal has changed, as inotify says.
  func wakeAll() {
    for journal in journals.compactMap(\.object) where journal.isReady { wake(journal.descriptor) }
  }

  private func wake(_ descriptor: CInt) {
    if !isGone { processLoop.wake(descriptor) }
  }

  /// The manager sends something.
  func send(_ message: ManagerMessage) { links.compactMap(\.object).forEach { $0.send(message) } }

  /// The manager closes its connections.
  func disconnect() {
    for link in links.compactMap(\.object) where !isGone { link.disconnect() }
  }
}
