package import EventReading
package import HookFiles
package import Lifecycle
internal import RunLedger
package import Runs
package import Systemd

/// What would be run, without touching anything.
package final class Rehearsal {
  private let planner: RunPlanner
  private let hooks: HookStore
  private let ledger: Ledger?
  private let again: Bool
  /// What happens from now on is shown, whatever a follow beside this has done with it already.
  private let start: UInt64

  /// - Parameters:
  ///   - selection: of which journal the events are.
  ///   - stateDirectory: a ledger there is only read; there may be none.
  package init(
    hooks: HookStore, selection: JournalSelection, stateDirectory: String, isReplay: Bool, again: Bool,
    timers: any Timers
  ) throws {
    self.hooks = hooks
    start = timers.realtime
    self.again = again
    // Only a ledger that is not there is none; one that cannot be read would make everything look as if it were to be run.
    ledger = try Ledger.exists(in: stateDirectory) ? Ledger(stateDirectory: stateDirectory, readOnly: true) : nil
    planner = RunPlanner(
      hooks: hooks, boot: try ManagerConnection.currentBoot(), timers: timers, mode: isReplay ? .replay : nil)
    if let windows = try ledger?.rateLimits() { planner.limiter = RateLimiter(windows: windows) }
    if selection.isLocal {
      hooks.aliases = ManagerConnection.aliases(of: hooks, manager: selection.manager)
    }
  }

  /// Refuses, as the real thing would, a time of which the ledger does not know any more what was done.
  package func requireRuns(since time: UInt64) throws {
    if !again { try ledger?.requireRuns(since: time) }
  }

  /// Goes where a follow would go on.
  package func place(_ readers: EventReaders) throws {
    for reader in readers.all {
      switch try ledger?.position(of: reader.name) {
      case .after(let cursor):
        let tracker = try ledger?.tracker(of: reader.machine) ?? LifecycleTracker()
        _ = try reader.resume(after: cursor, tracker: tracker)
      case .from(let time): try reader.seek(realtime: time)
      case nil: _ = try reader.seekEnd()
      }
    }
  }

  /// The runs that an event would lead to: what would be done, and with which command.
  package func runs(
    for event: LifecycleEvent, of readers: EventReaders
  ) -> [(run: PlannedRun, command: [String])] {
    planner.plan([event], of: readers).compactMap { run in
      let isKnown = { (try? self.ledger?.state(ofEvent: event.id, hook: run.hook)) ?? nil != nil }
      if event.realtime < start, !again, isKnown() { return nil }
      return (run, hooks.hook(named: run.hook)?.arguments(for: event) ?? [])
    }
  }
}
