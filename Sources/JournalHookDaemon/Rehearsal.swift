package import JournalHookCore
internal import Systemd

/// What would be run, without touching anything.
package final class Rehearsal {
  private let planner: RunPlanner
  private let hooks: HookStore
  private let ledger: Ledger?
  private let again: Bool

  /// - Parameter stateDirectory: a ledger there is only read; there may be none.
  package init(hooks: HookStore, stateDirectory: String, selection: JournalSelection, isReplay: Bool, again: Bool)
    throws
  {
    self.hooks = hooks
    self.again = again
    // Only a ledger that is not there is none; one that cannot be read would make everything look as if it were to be run.
    ledger = try Ledger.exists(in: stateDirectory) ? Ledger(stateDirectory: stateDirectory, readOnly: true) : nil
    planner = RunPlanner(
      hooks: hooks, boot: try Id128.boot(), isLocal: selection.isLocal, mode: isReplay ? .replay : nil)
  }

  /// Places a reader where a follow would go on.
  package func place(_ reader: inout EventReader, in selection: JournalSelection) throws {
    switch try ledger?.position(of: selection.reader) {
    case .behind(let cursor): _ = try reader.resume(after: cursor)
    case .from(let time): try reader.seek(realtime: time)
    case nil: _ = try reader.seekEnd()
    }
  }

  /// The runs that an event would lead to: what would be done, and with which command.
  package func runs(for event: LifecycleEvent) -> [(run: PlannedRun, command: [String])] {
    planner.plan([event]).compactMap { run in
      let known = (try? ledger?.state(ofEvent: event.id, hook: run.hook)) ?? nil
      if known != nil, !again { return nil }
      return (run, hooks.hook(named: run.hook)?.arguments(for: event) ?? [])
    }
  }
}
