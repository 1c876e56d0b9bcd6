internal import HookFiles
internal import Hooks
internal import JournalHookDaemon
internal import Lifecycle
internal import Processes
internal import Runs
internal import Systemd

/// Runs hooks on the simulated machine, for one process.
final class SimulatedRunHost: RunHost {
  private let hooks: HookStore
  fileprivate let processes: HookProcesses
  fileprivate let timers: ProcessTimers
  private let manager: any AnsweringManager
  private var chance: Chance
  /// The name of the process that this is for.
  let name: String
  /// Whether the process that this is for has died, so that it does nothing any more.
  let isDead: () -> Bool
  /// How many of the next attempts meet an error that lasts only a moment.
  var errors = 0

  init(
    hooks: HookStore, processes: HookProcesses, timers: ProcessTimers, manager: any AnsweringManager, seed: UInt64,
    name: String,
    isDead: @escaping () -> Bool
  ) {
    self.hooks = hooks
    self.processes = processes
    self.timers = timers
    self.manager = manager
    self.name = name
    self.isDead = isDead
    chance = Chance(seed)
  }

  func prepare(_ run: Run) throws(HookError) -> any RunAttempt {
    if takeError() { throw HookError(.temporary, "Too many open files") }
    guard let hook = hooks.hook(named: run.hook) else { throw HookError(.refused, "the hook no longer exists") }
    return SimulatedAttempt(run, hook, self)
  }

  fileprivate func takeError() -> Bool {
    guard errors > 0, chance.once(in: 2) else { return false }
    errors -= 1
    return true
  }

  /// Whether the hook's process will fail: hooks whose name says so fail two times of three.
  fileprivate func fails(_ hook: String) -> Bool { hook.hasSuffix("fails") && !chance.once(in: 3) }

  func definition(of hook: String) -> HookDefinition? { hooks.hook(named: hook)?.definition }

  func absence(of hook: String) -> String? { hooks.absence(of: hook) }

  func hasStartJob(_ unit: String) -> Bool {
    let status = manager.status(of: unit)
    return status.job != 0 && ["inactive", "failed"].contains(status.activeState)
  }

  func endLeftovers(in place: String) throws -> Bool {
    if !isDead() { processes.killNow(place) }
    return true
  }

  func endStrays() {}
}

/// An attempt on the simulated machine. `RunMachine` decides about it, as on a real one.
private final class SimulatedAttempt: RunAttempt {
  let run: Run
  private let hook: LoadedHook
  var onOutcome: ((RunMachine.Outcome) -> Void)?
  var onRelease: (() -> Void)?
  private let host: SimulatedRunHost
  private var machine: RunMachine
  private var place = ""
  private var process: HookProcesses.Process?
  private var timer: Timer?

  init(_ run: Run, _ hook: LoadedHook, _ host: SimulatedRunHost) {
    self.run = run
    self.hook = hook
    self.host = host
    let definition = hook.definition
    machine = RunMachine(timeout: definition.timeout.microseconds, grace: definition.grace.microseconds)
  }

  var definition: HookDefinition { hook.definition }

  func unmetCondition() throws -> String? { nil }

  func makePlace() throws -> String {
    place = "/place/\(run.id).\(run.attempt)"
    return place
  }

  func begin() throws {
    if host.isDead() { throw SystemError("create a process", code: 4) }
    if host.takeError() { throw SpawnError(step: .create, code: 11) }
    let process = host.processes.spawn(
      run, place: place, by: host.name, fails: host.fails(run.hook), isParallel: hook.definition.parallel)
    self.process = process
    process.onEnd = { [weak self] exit in
      guard let self, !host.isDead() else { return }
      perform(machine.mainEnded(exit, treeIsEmpty: true))
    }
    perform(machine.spawned())
  }

  func discard() {}

  func interrupt() { perform(machine.interrupt()) }

  func acts(on unit: String) -> Bool { hook.effects.affects(unit, inRunFor: run.event.unit) }

  private func perform(_ actions: [RunMachine.Action]) {
    for action in actions {
      switch action {
      case .spawn: break
      case .terminate: host.processes.kill(place, with: 15)
      case .kill: host.processes.kill(place, with: 9)
      case .startTimer(let delay):
        timer = host.timers.call(in: delay) { [weak self] in
          guard let self else { return }
          perform(machine.timerElapsed())
        }
      case .record(let outcome): onOutcome?(outcome)
      case .release:
        timer = nil
        onRelease?()
      }
    }
  }

  deinit { process?.onEnd = nil }
}
