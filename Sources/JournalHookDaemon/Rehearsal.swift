package import JournalHookCore
internal import Systemd

/// What would be run, without touching anything.
package final class Rehearsal {
  private let planner: RunPlanner
  private let hooks: HookStore
  private let ledger: Ledger?
  private let again: Bool

  /// - Parameter stateDirectory: a ledger there is only read; there may be none.
  package init(hooks: HookStore, stateDirectory: String, isReplay: Bool, again: Bool) throws {
    self.hooks = hooks
    self.again = again
    ledger = try? Ledger(stateDirectory: stateDirectory, readOnly: true)
    planner = RunPlanner(hooks: hooks, boot: try Id128.boot(), mode: isReplay ? .replay : nil)
  }

  /// Goes where a follow would go on.
  package func place(_ readers: EventReaders) throws {
    for reader in readers.all {
      if let saved = (try? ledger?.cursor(of: reader.name)).flatMap(JournalCursor.init),
        let tracker = try ledger?.tracker(of: reader.machine)
      {
        _ = try reader.resume(after: saved, tracker: tracker)
      } else {
        _ = try reader.seekEnd()
      }
    }
  }

  /// The runs that an event would lead to: what would be done, and with which command.
  package func runs(
    for event: LifecycleEvent, of readers: EventReaders
  ) -> [(run: PlannedRun, command: [String])] {
    planner.plan([event], of: readers).compactMap { run in
      let known = (try? ledger?.state(ofEvent: event.id, hook: run.hook)) ?? nil
      if known != nil, !again { return nil }
      return (run, hooks.hook(named: run.hook)?.arguments(for: event) ?? [])
    }
  }
}
