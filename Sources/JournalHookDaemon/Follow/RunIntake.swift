internal import EventReading
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import RunLedger
internal import Runs
internal import Systemd

/// Takes what was read from the journal: decides which runs it leads to, and writes these down together with the place that was
/// reached.
final class RunIntake {
  private let engine: RunEngine
  /// Whether the ledger can be written to.
  let trouble: LedgerTrouble
  private let retention: Retention
  /// Whether what the ledger has as done is done again, of the backlog.
  private let again: Bool
  /// What was read and not matched to the hooks yet.
  private var unmatched: [Ledger.Step] = []
  /// What was matched and could not be written down yet; nothing more is read meanwhile.
  private var uncommitted: [Ledger.Step] = []
  /// By reader: the time up to which all was written down, in microseconds since 1970.
  var committedTimes: [String: UInt64] = [:]
  /// Whether events may be matched to the hooks now. Changes of the files until now are loaded before the answer.
  var mayMatch: (_ hasEvents: Bool) -> Bool = { _ in true }
  /// Whether the ledger may be written to.
  var mayCommit: () -> Bool = { true }
  /// Called when a step is written down.
  var onCommit: (Ledger.Step, Ledger.Commit) -> Void = { _, _ in }

  init(_ engine: RunEngine, trouble: LedgerTrouble, again: Bool) {
    self.engine = engine
    self.trouble = trouble
    self.again = again
    let configuration = engine.configuration
    retention = Retention(ledger: engine.ledger, timers: engine.timers) { configuration.configuration.historyKeep }
  }

  /// Whether all that was read is written down.
  var isDone: Bool { unmatched.isEmpty && uncommitted.isEmpty }

  /// Forgets runs that are over the limits of `HistoryKeep=`, when there is time.
  func beginRetention() { retention.begin() }

  /// Decides what comes of a batch, and writes it down; false when that has to wait.
  func take(_ batch: EventReader.Batch, from reader: EventReader, isCatchingUp: Bool) -> Bool {
    var step = Ledger.Step(planned: [], events: batch.events)
    step.cursor = batch.cursor
    step.reader = reader.name
    step.changes = batch.changes
    step.tracker = reader.tracker
    step.isCatchingUp = isCatchingUp
    step.again = again && isCatchingUp
    unmatched.append(step)
    return match()
  }

  /// Decides which runs the events that were read lead to, and writes them down; false when that has to wait.
  ///
  /// An event counts for the hooks that were on disk when it happened.
  func match() -> Bool {
    guard mayMatch(unmatched.contains { !$0.events.isEmpty }) else { return false }
    for var step in unmatched {
      step.planned = engine.planner.plan(step.events, of: engine.readers)
      step.rateLimits = engine.planner.limiter.takeChanges()
      uncommitted.append(step)
    }
    unmatched = []
    return commit()
  }

  /// Writes down what was read; false when the ledger refuses, and it is tried again later.
  func commit() -> Bool {
    if !uncommitted.isEmpty, !mayCommit() { return false }
    while let step = uncommitted.first {
      do {
        let commit = try engine.ledger.commit(step, owner: engine.owner, now: engine.timers.realtime)
        uncommitted.removeFirst()
        trouble.noteSuccess()
        if let cursor = step.cursor.flatMap(JournalCursor.init) { committedTimes[step.reader] = cursor.realtime + 1 }
        retention.noteRecorded(step.planned.count)
        for run in step.planned where run.state.isFinal { engine.reporter.dropped(run) }
        engine.executor.supersede(commit.superseded)
        engine.executor.add(commit.runs)
        if commit.waiting > 0 { engine.executor.due.schedule() }
        onCommit(step, commit)
      } catch {
        trouble.note(error)
        return false
      }
    }
    return true
  }
}
