internal import JournalHookCore
internal import Systemd

/// Decides which runs events lead to: the hooks as they are, and the circumstances.
final class RunPlanner {
  private let hooks: HookStore
  /// This machine's.
  private let boot: CurrentBoot
  private let startedAt = Clock.monotonic()
  /// For runs that somebody has asked for by `replay`.
  private let fixedMode: Run.Mode?
  /// Whether events from while nobody followed may still come.
  var isCatchingUp = true

  init(hooks: HookStore, boot: CurrentBoot, mode: Run.Mode? = nil) {
    self.hooks = hooks
    self.boot = boot
    fixedMode = mode
  }

  /// The runs, in the order of events, those of one event by file name.
  func plan(_ events: [LifecycleEvent], of readers: EventReaders) -> [PlannedRun] {
    events.flatMap { event in
      let isOfEarlierBoot =
        readers.selection.isLocal ? boot.isLater(than: event) : event.boot != readers.newestBoot(of: event.machine)
      let names = hooks.aliases.names(of: event.unit)
      return hooks.hooks.compactMap { hook in
        PlannedRun(
          event, hook: hook.hook, mode: mode(of: event), isOfEarlierBoot: isOfEarlierBoot, aliases: names)
      }
    }
  }

  /// Clocks can be set; the time since the boot tells reliably what is from before this process.
  private func mode(of event: LifecycleEvent) -> Run.Mode {
    if let fixedMode { return fixedMode }
    // What is found by asking the manager may be found long after the backlog.
    guard isCatchingUp || event.source == .reconciled else { return .live }
    return event.boot == boot.id && event.monotonic >= startedAt ? .live : .catchUp
  }
}
