internal import RunLedger
internal import Runs
internal import Systemd

/// From the ledger to the executor.
extension Follower {
  /// Gives the executor runs that wait in the ledger: those of an earlier process, and those that were held.
  func loadStoredRuns() {
    guard hasStoredRuns else { return }
    do {
      let room = Follower.pauseThreshold
      while executor.waitingCount < room {
        let runs = try ledger.openRuns(owner: RunOwner.follow, after: lastStoredRun, limit: room)
        executor.add(runs)
        lastStoredRun = runs.last?.id ?? lastStoredRun
        if runs.count < room {
          hasStoredRuns = false
          break
        }
      }
    } catch {
      noteLedger(error: error)
      retryLater()
    }
  }

  /// Looks each second what becomes of runs that replays have and follow has passed over, as long as there are any: those of a
  /// replay that has ended without having done them are follow's.
  func awaitOthers() {
    guard othersTimer == nil, !isDraining else { return }
    othersTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
      othersTimer = nil
      takeUpFromOthers()
    }
  }

  private func takeUpFromOthers() {
    var isMore = true
    do {
      let failures = try recoverFromDeadReplays(
        ledger, owner: RunOwner.follow, hooks: hooks, reporter, isStale: executor.isOfEarlierBoot)
      try executor.answer(failures: failures)
      isMore = try ledger.hasWantedRunsOfOthers()
      try executor.takeUpWaiting()
      hasStoredRuns = true
      lastStoredRun = 0
      loadStoredRuns()
    } catch {
      noteLedger(error: error)
    }
    if isMore { awaitOthers() }
  }

  /// Reports the runs that were dropped, those of a rate limit when its interval is over.
  func reportDropped() {
    guard !isCatchingUp else { return }
    do {
      let now = Clock.now().microseconds
      for dropped in try ledger.takeDropped(now: now) { reporter.dropped(dropped) }
      guard let next = try ledger.nextReport() else { return }
      let delay = max(next, now + 1) - now
      dropTimer = try loop.schedule(at: loop.now() &+ delay, accuracy: 50_000) { [unowned self] in
        dropTimer = nil
        reportDropped()
      }
    } catch {
      dropTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
        dropTimer = nil
        reportDropped()
      }
    }
  }

  func progress() {
    updateStatus()
    if isDraining {
      if executor.isQuiet { loop.exit(0) }
      return
    }
    if executor.waitingCount < Follower.pauseThreshold / 2 {
      if hasStoredRuns { loadStoredRuns() }
      lookAgain()
    }
  }
}
