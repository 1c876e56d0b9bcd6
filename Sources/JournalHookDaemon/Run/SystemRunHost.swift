internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Processes
internal import RunLedger
internal import Runs
internal import Systemd

/// Runs hooks on this machine: their processes, in cgroups or found by their process tree.
final class SystemRunHost: RunHost {
  let loop: EventLoop
  let timers: any Timers
  let reporter: Reporter
  let conditions: ConditionCheck
  let containment: Containment
  let stateDirectory: String
  private let hooks: HookStore
  /// The attempts that have processes.
  private var attempts: [ObjectIdentifier: SystemAttempt] = [:]

  init(
    loop: EventLoop, timers: any Timers, hooks: HookStore, reporter: Reporter, containment: Containment,
    stateDirectory: String, manager: Manager
  ) {
    self.loop = loop
    self.timers = timers
    self.hooks = hooks
    self.reporter = reporter
    self.containment = containment
    self.stateDirectory = stateDirectory
    conditions = ConditionCheck(manager: manager)
  }

  func prepare(_ run: Run) throws(HookError) -> any RunAttempt {
    SystemAttempt(run, try hooks.open(run), self)
  }

  func definition(of hook: String) -> HookDefinition? { hooks.hook(named: hook)?.definition }

  func absence(of hook: String) -> String? { hooks.absence(of: hook) }

  func hasStartJob(_ unit: String) -> Bool { conditions.hasJob(unit) }

  func endLeftovers(in place: String) throws -> Bool {
    var container = try RunContainer(restoring: place, stateDirectory: stateDirectory)
    // KILL at once: who asked them to end nicely is dead, and the next attempt must not meet them.
    let isEmpty = container.endLeftovers()
    _ = container.remove()
    return isEmpty
  }

  func endStrays() {
    // Orphans that no run can be found for. With no run under way, ended runs have left them.
    if case .processTrees = containment { ProcessTree.endStrays(sparing: []) }
  }

  /// Takes note of an attempt that has a process now.
  func began(_ attempt: SystemAttempt) { attempts[ObjectIdentifier(attempt)] = attempt }

  /// Takes note of an attempt of which nothing is left.
  func ended(_ attempt: SystemAttempt) { attempts[ObjectIdentifier(attempt)] = nil }

  /// The main processes that were not waited for yet.
  var livingMains: Set<ProcessID> { Set(attempts.values.compactMap(\.livingMain)) }
}
