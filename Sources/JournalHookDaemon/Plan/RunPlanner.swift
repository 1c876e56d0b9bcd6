internal import EventReading
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Runs
internal import Systemd

/// Decides which runs events lead to: the hooks as they are, and the circumstances.
final class RunPlanner {
  private let hooks: HookStore
  /// This machine's.
  private let boot: CurrentBoot
  private let timers: any Timers
  private let startedAt: UInt64
  /// Its windows are kept in the ledger, so that a restart forgets none.
  var limiter = RateLimiter()
  /// For runs that somebody has asked for by `replay`.
  private let fixedMode: Run.Mode?
  /// Present where the effects of runs can be distinguished from other events: while following this machine.
  var loopGuard: LoopGuard?
  /// Whether events from the time when journalhook was not running may still come.
  var isCatchingUp = true

  init(hooks: HookStore, boot: CurrentBoot, timers: any Timers, mode: Run.Mode? = nil) {
    self.timers = timers
    startedAt = timers.monotonic
    self.hooks = hooks
    self.boot = boot
    fixedMode = mode
  }

  /// The runs, in the order of events, those of one event by file name. Each event is to be given once: the hooks' rate limits
  /// count them.
  func plan(_ events: [LifecycleEvent], of readers: EventReaders) -> [PlannedRun] {
    events.flatMap { event in
      loopGuard?.note(event)
      let isOfEarlierBoot =
        readers.selection.isLocal ? boot.isLater(than: event) : event.boot != readers.newestBoot(of: event.machine)
      let names = hooks.aliases.names(of: event.unit)
      return hooks.hooks.compactMap { hook -> PlannedRun? in
        guard
          var run = PlannedRun(
            event, hook: hook.hook, mode: mode(of: event), isOfEarlierBoot: isOfEarlierBoot, aliases: names)
        else { return nil }
        if run.state == .pending { checkCircle(&run) }
        if run.state == .pending { setTime(of: &run, hook.hook) }
        return run
      }
    }
  }

  private func checkCircle(_ run: inout PlannedRun) {
    switch loopGuard?.judge(run.event, by: run.hook) {
    case .pass(let cause): run.cause = cause
    case .suspended(let reason):
      run.state = .skipped
      run.reason = reason
    case nil: break
    }
  }

  /// Decides whether the run has to wait.
  private func setTime(of run: inout PlannedRun, _ hook: Hook) {
    var delay = run.settle
    if run.mode == .live, case .wait(let time, let instead) = limiter.admit(run.event, by: hook) {
      delay = max(delay ?? 0, time)
      run.rateLimitedInstead = instead
      run.rateLimitEnd = run.event.realtime &+ time
    }
    run.due = delay.map { DueTime($0, after: run.event, boot: boot.id, now: timers.now) }
  }

  /// Clocks can be set; the time since the boot shows reliably what is from before this process.
  private func mode(of event: LifecycleEvent) -> Run.Mode {
    if let fixedMode { return fixedMode }
    // What is found by asking the manager may be found long after the backlog.
    guard isCatchingUp || event.source == .reconciled else { return .live }
    return event.boot == boot.id && event.monotonic >= startedAt ? .live : .catchUp
  }
}
