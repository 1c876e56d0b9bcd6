internal import CSimulatedDisk
internal import EventReading
internal import JournalHookDaemon
internal import Lifecycle
internal import RunLedger
internal import SimulatedSystem
internal import Systemd

/// A machine with everything that matters to journalhook: a service manager, journald, a disk, processes, and time.
final class World {
  let clock = WorldClock()
  let manager: SimulatedManager
  let journald: SimulatedJournald
  let hooks: HookProcesses
  let disk: SimulatedDisk
  let answers: ManagerAnswers
  var chance: Chance
  /// The processes of journalhook.
  private(set) var processes: [SimulatedProcess] = []
  var isBusOpen = true
  /// The number of the last descriptor.
  var descriptors: CInt = 100
  private var owners: CInt = 0
  /// Which hooks the next process has.
  var hookSet: HookSet
  /// Whether somebody wants `follow` to run, so that it is started again when it ends.
  var isFollowWanted = true
  /// What the ledger had as finished after a power cut, with the number of the first such cut.
  var finished: [RunKey: Int] = [:]
  /// Whether something was made to fail, so that a process may end with an error.
  var hasTrouble = false
  /// How much time had passed when all had come to its end, in microseconds.
  var settledAt: UInt64 = 0
  /// The replay of everything, at the end.
  var lastReplay = ""
  /// What was found in the course of it.
  var faults: [String] = []
  /// All messages of all processes.
  private(set) var messages: [String] = []

  static let stateDirectory = "/state"

  init(seed: UInt64, hookSets: [HookSet]) {
    chance = Chance(seed)
    disk = SimulatedDisk(seed: seed)
    hookSet = hookSets[chance.below(hookSets.count)]
    var numbers = SeededNumbers(seed: chance.next())
    manager = SimulatedManager(
      version: SystemdVersion.allCases[chance.below(3)], units: UnitDescription.mixed(using: &numbers), clock: clock,
      seed: chance.next())
    journald = SimulatedJournald(clock: clock, seed: chance.next())
    hooks = HookProcesses(clock: clock, seed: chance.next())
    answers = ManagerAnswers(manager)
    clock.afterCall = { [unowned self] in reap() }
    journald.unread = { [unowned self] in unread() }
    journald.onChange = { [unowned self] in processes.forEach { $0.host.wakeAll() } }
    manager.outputs.onEntry = { [unowned self] in journald.send($0) }
    manager.outputs.onSignal = { [unowned self] in send($0) }
    manager.outputs.onPowerOff = { [unowned self] in powerOff() }
    manager.outputs.onBoot = { [unowned self] _ in booted() }
  }

  private func send(_ signal: BusSignal) {
    let message: ManagerMessage
    switch signal {
    case .change(let change): message = .changed(change)
    case .jobNew(let id, let unit): message = .job(id: id, unit: unit, result: nil)
    case .jobRemoved(let id, let unit, let result): message = .job(id: id, unit: unit, result: result)
    case .connectionLost:
      isBusOpen = false
      processes.forEach { $0.host.disconnect() }
      return
    case .connectionBack:
      isBusOpen = true
      return
    }
    for process in processes { process.host.send(message) }
  }

  // MARK: The machine

  private func powerOff() {
    for process in processes { process.host.isDead = true }
    reap()
    hooks.powerOff()
    journald.boot()
    isBusOpen = false
  }

  private func booted() {
    clock.boot()
    journald.boot()
    isBusOpen = true
    clock.after(1_000_000 + chance.time(upTo: 10_000_000)) { [unowned self] in startFollow() }
  }

  // MARK: Processes

  var follow: SimulatedProcess? { processes.first { $0.isFollow && !$0.host.isGone } }
  var replays: [SimulatedProcess] { processes.filter { !$0.isFollow && !$0.host.isGone } }

  /// Whether the process of an owner in the ledger lives.
  func isAlive(_ owner: String) -> Bool {
    processes.contains { !$0.host.isGone && ($0.isFollow ? owner == RunOwner.follow : owner == $0.host.replayName) }
  }

  func startFollow() {
    guard follow == nil, !manager.boot.isOff else { return }
    let isFirst = query("SELECT 1 FROM cursors").isEmpty
    start(
      SimulatedProcess(follow: self, since: isFirst ? 0 : nil, owner: nextOwner(), hooks: hookSet, seed: chance.next()))
  }

  func startReplay() {
    guard !manager.boot.isOff else { return }
    let since = chance.once(in: 2) ? 0 : clock.realtime - min(clock.realtime, chance.time(upTo: 60_000_000))
    start(
      SimulatedProcess(replay: self, since: since, owner: nextOwner(), hooks: hookSet, seed: chance.next()))
  }

  func nextOwner() -> CInt {
    owners += 1
    return owners
  }

  func start(_ process: SimulatedProcess) {
    process.onMessage = { [unowned self] in messages.append($0) }
    processes.append(process)
    process.start()
    reap()
  }

  /// Gives up processes that have died or ended.
  func reap() {
    for process in processes where process.isOver {
      if let code = process.host.processLoop.exitCode, code != 0, !process.host.isGone, !process.mayFail, !hasTrouble,
        process.progress?.failed ?? 0 == 0
      {
        faults.append("\(process.name) ended with \(code): \(process.lastMessage)")
      }
      process.host.isDead = true
      processes.removeAll { $0 === process }
      process.release()
      simdisk_kill_after(disk.handle, process.owner, 1)
      simdisk_forget(disk.handle, process.owner)
      // As with Restart=always.
      if process.isFollow, isFollowWanted, !manager.boot.isOff {
        clock.after(100_000) { [unowned self] in if isFollowWanted { startFollow() } }
      }
    }
  }
}
