internal import JournalHookCore
internal import Systemd

/// Decides which runs events lead to: the hooks as they are, and the circumstances.
final class RunPlanner {
  private let hooks: HookStore
  private let boot: String
  private let isLocal: Bool
  private let startedAt = Clock.monotonic()
  /// For runs that somebody has asked for by `replay`.
  private let fixedMode: Run.Mode?
  /// Whether events from while nobody followed may still come.
  var isCatchingUp = true

  init(hooks: HookStore, boot: String, isLocal: Bool, mode: Run.Mode? = nil) {
    self.hooks = hooks
    self.boot = boot
    self.isLocal = isLocal
    fixedMode = mode
  }

  /// The runs, in the order of events, those of one event by file name.
  func plan(_ events: [LifecycleEvent]) -> [PlannedRun] {
    events.flatMap { event in
      hooks.hooks.compactMap { hook in
        PlannedRun(
          event, hook: hook.hook, mode: mode(of: event), isOfEarlierBoot: isLocal && event.boot != boot)
      }
    }
  }

  /// Clocks can be set; the time since the boot tells reliably what is from before this process.
  private func mode(of event: LifecycleEvent) -> Run.Mode {
    if let fixedMode { return fixedMode }
    guard isCatchingUp else { return .live }
    return event.boot == boot && event.monotonic >= startedAt ? .live : .catchUp
  }
}
