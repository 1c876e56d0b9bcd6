internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import Runs
internal import Systemd
internal import TrustedFiles

/// An attempt at a run on this machine: its processes, one after the other, their timers, and what is left of them.
///
/// `RunMachine` decides; this does what it says.
final class SystemAttempt: RunAttempt {
  let run: Run
  let hook: LoadedHook
  var onOutcome: ((RunMachine.Outcome) -> Void)?
  var onRelease: (() -> Void)?
  private let host: SystemRunHost
  private var machine: RunMachine
  private var launcher: HookLauncher
  private var container: RunContainer?
  private var output: RunOutput?
  private var process: SpawnedProcess?
  /// Whether the process that was created last was waited for.
  private var hasEnded = false
  private var deadline: Timer?
  private var emptinessTimer: Timer?
  private var exitSource: EventSource?

  /// The longest pause between two looks for processes that are left, in microseconds.
  private static let longestPause: UInt64 = 50_000

  init(_ run: Run, _ opened: consuming OpenedHook, _ host: SystemRunHost) {
    self.run = run
    self.host = host
    hook = opened.hook
    let definition = hook.definition
    machine = RunMachine(
      timeout: definition.timeout.isInfinite ? nil : definition.timeout.microseconds,
      grace: definition.grace.isInfinite ? nil : definition.grace.microseconds,
      successExitStatus: definition.successExitStatus, conditions: hook.conditionPrograms.count)
    launcher = HookLauncher(run, opened, reporter: host.reporter)
  }

  var definition: HookDefinition { hook.definition }

  /// The number of the process that was created last, until it was waited for.
  var livingMain: ProcessID? { hasEnded ? nil : process?.pid }

  func unmetCondition() throws -> String? { try host.conditions.firstUnmet(of: definition, for: run.event) }

  func makePlace() throws -> String {
    let container = try host.containment.makeContainer(
      runID: String(run.id), attempt: run.attempt, stateDirectory: host.stateDirectory)
    self.container = container
    return container.path
  }

  func discard() {
    _ = container?.remove()
    container = nil
  }

  func begin() throws {
    do {
      try launcher.prepare(stateDirectory: host.stateDirectory)
      output = try RunOutput(of: run, loop: host.loop, clocks: host.timers, reporter: host.reporter)
      try spawnNext()
    } catch {
      close()
      throw error
    }
    host.began(self)
    watchExit()
    perform(machine.spawned())
  }

  func interrupt() { perform(machine.interrupt()) }

  func acts(on unit: String) -> Bool { hook.effects.affects(unit, inRunFor: run.event.unit) }

  // MARK: The machine's actions

  private func perform(_ actions: [RunMachine.Action]) {
    for action in actions {
      switch action {
      case .spawn:
        do {
          try spawnNext()
          watchExit()
        } catch {
          perform(machine.spawnFailed("\(error)", treeIsEmpty: isEmpty))
        }
      case .terminate:
        container?.terminate()
        lookForRest(in: 1000)
      case .kill:
        container?.kill()
        lookForRest(in: 1000)
      case .startTimer(let delay):
        deadline = host.timers.call(in: delay) { [weak self] in
          // Kept for the call, in which the last reference may be given up.
          guard let self else { return }
          perform(machine.timerElapsed())
        }
      case .record(let outcome):
        output?.drain()
        onOutcome?(outcome)
      case .release: release()
      }
    }
  }

  private func spawnNext() throws {
    guard container != nil else { return }
    if let created = try launcher.launchNext(output, { try self.container?.spawn($0) }) {
      process = consume created
      hasEnded = false
    }
  }

  /// From here on there is a process: whatever fails, it is waited for.
  private func watchExit() {
    // No sooner than others: with many short runs there is always an end, and deadlines, timers and the journal must have
    // their turn, too.
    exitSource = try? host.loop.watch(process?.pidfd.rawValue ?? -1, for: .input) { [weak self] _ in self?.mainEnded() }
    if exitSource == nil { lookForRest(in: 1000) }
  }

  private func mainEnded() {
    guard let exit = reapMain() else { return }
    perform(machine.mainEnded(exit, treeIsEmpty: isEmpty))
  }

  /// Waits for the process that was created last, which has ended; nil when it has not.
  private func reapMain() -> RunMachine.Exit? {
    guard let pid = livingMain else { return nil }
    var status: CInt = 0
    guard unsafe waitpid(pid, &status, WNOHANG) == pid else { return nil }
    hasEnded = true
    RecentProcesses.forget()
    exitSource = nil
    let signal = status & 0x7F
    if signal == 0 { return .exited((status >> 8) & 0xFF) }
    return status & 0x80 != 0 ? .dumped(signal) : .killed(signal)
  }

  private var isEmpty: Bool { container?.isEmpty() ?? true }

  /// Looks again and again, ever more seldom, whether anything is left: no notification covers all kinds of containers, and it
  /// is only asked while something is being ended.
  private func lookForRest(in delay: UInt64) {
    emptinessTimer = host.timers.call(in: delay) { [weak self] in
      guard let self else { return }
      emptinessTimer = nil
      container?.reap(sparing: host.livingMains)
      mainEnded()
      if isEmpty { perform(machine.treeEmptied()) }
      if !machine.isDone { lookForRest(in: min(delay * 2, SystemAttempt.longestPause)) }
    }
  }

  private func release() {
    close()
    container?.reap(sparing: host.livingMains)
    if container?.remove() == false {
      // A process that has just ended still shows for a moment.
      emptinessTimer = host.timers.call(in: 20_000) { [weak self] in self?.release() }
      return
    }
    host.ended(self)
    onRelease?()
  }

  /// Gives up what it holds.
  private func close() {
    output?.close()
    output = nil
    launcher.close()
    deadline = nil
    emptinessTimer = nil
    exitSource = nil
  }
}
