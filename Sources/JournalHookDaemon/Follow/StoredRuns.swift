internal import RunLedger
internal import Runs
internal import Systemd

/// Runs that wait in the ledger for the executor: those of an earlier process, those that were held until the end of the backlog,
/// and those of replays that have ended without having done them.
final class StoredRuns {
  private let engine: RunEngine
  private let trouble: LedgerTrouble
  /// Whether the ledger may hold runs to be done that the executor has not been given.
  private(set) var isMore = true
  private var last: Int64 = 0
  private var needsRelease = false
  /// While replays have runs that follow has passed over.
  private var othersTimer: Timer?
  private var dropTimer: Timer?

  /// When this number of runs wait, nothing more is read: the journal is the queue.
  static let room = 1000
  private static let retryInterval: UInt64 = 1_000_000

  init(_ engine: RunEngine, trouble: LedgerTrouble) {
    self.engine = engine
    self.trouble = trouble
  }

  /// Gives the executor runs, as far as there is room.
  func load() {
    guard isMore else { return }
    do {
      while engine.executor.waitingCount < StoredRuns.room {
        let runs = try engine.ledger.openRuns(owner: engine.owner, after: last, limit: StoredRuns.room)
        engine.executor.add(runs)
        last = runs.last?.id ?? last
        if runs.count < StoredRuns.room {
          isMore = false
          break
        }
      }
    } catch {
      trouble.note(error)
    }
  }

  private func loadAll() {
    isMore = true
    last = 0
    load()
  }

  /// Tries again what the ledger has refused.
  func retry() { if needsRelease { releaseHeld() } else { load() } }

  /// The backlog is at its end: the runs that waited for that may begin (`CatchUp=latest`).
  func releaseHeld() {
    needsRelease = true
    do {
      try engine.ledger.releaseHeld(owner: engine.owner)
      needsRelease = false
      reportDropped()
      // Some of them may have to settle, too.
      engine.executor.due.schedule()
    } catch {
      return trouble.note(error)
    }
    loadAll()
  }

  /// Reports the runs that were dropped, those of a rate limit when its interval is over.
  func reportDropped() {
    let timers = engine.timers
    do {
      let now = timers.realtime
      for dropped in try engine.ledger.takeDropped(now: now) { engine.reporter.dropped(dropped) }
      guard let next = try engine.ledger.nextReport() else { return }
      dropTimer = timers.call(in: max(next, now + 1) - now, accuracy: 50_000) { [unowned self] in reportDropped() }
    } catch {
      dropTimer = timers.call(in: StoredRuns.retryInterval) { [unowned self] in reportDropped() }
    }
  }

  // MARK: Replays

  /// Looks each second what becomes of runs that replays have and follow has passed over, as long as there are any: those of a
  /// replay that has ended without having done them are follow's.
  func awaitReplays() {
    guard othersTimer == nil else { return }
    othersTimer = engine.timers.call(in: StoredRuns.retryInterval) { [unowned self] in
      othersTimer = nil
      takeUpFromReplays()
    }
  }

  /// Whether there may be such runs.
  var mayHaveReplays: Bool { (try? engine.ledger.hasWantedRunsOfOthers()) ?? true }

  private func takeUpFromReplays() {
    var isMoreToCome = true
    do {
      try engine.recoverFromDeadReplays()
      isMoreToCome = try engine.ledger.hasWantedRunsOfOthers()
      // Once more, and after the question: a replay that ends by itself gives its runs to follow at any moment.
      try engine.executor.due.takeUp()
      loadAll()
    } catch {
      trouble.note(error)
    }
    if isMoreToCome { awaitReplays() }
  }

  /// Looks and reports no more.
  func stop() {
    othersTimer = nil
    dropTimer = nil
  }
}
