internal import JournalHookCore
internal import Systemd

/// From the ledger to the executor.
extension Follower {
  /// Gives the executor runs that wait in the ledger: those of an earlier process, and those that were held.
  func loadStoredRuns() {
    guard hasStoredRuns else { return }
    do {
      let room = Follower.pauseThreshold
      while executor.waitingCount < room {
        let runs = try ledger.openRuns(owner: Follower.owner, after: lastStoredRun, limit: room)
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

  func progress() {
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
