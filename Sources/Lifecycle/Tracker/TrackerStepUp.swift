internal import Systemd

/// Entries that say that a unit comes up, or does not.
extension TrackerStep {
  mutating func starting() {
    // An invocation starts once.
    guard entry.invocation == nil || state.phase == .unknown else { return }
    if !isByRestartJob { endRestart() }
    if entry.invocation == nil { state.begin(nil) }
    // A start that is no part of a restart brings back nothing that went down by one.
    if !isByRestartJob, !state.restart.isAutomatic { state.restart.hasGoneDown = false }
    state.phase = .starting
    state[.skipEmitted] = false
    state[.gaveUpEmitted] = false
    emit(.starting)
  }

  mutating func started() {
    guard entry.job?.result ?? "done" == "done" else { return }
    if isSkippedStart {
      endRestart()
      if !state[.skipEmitted] { emit(.skipped) }
      state[.skipEmitted] = false
      state.restart.isAutomatic = false
      return
    }
    // A oneshot's last message is "started", yet it has ended: with UNIT_SUCCESS before it. If the history began in between,
    // that UNIT_SUCCESS was taken for a stop.
    if state[.succeededWhileStarting] || (state.phase == .down && entry.invocation != nil) {
      endRestart()
      state.phase = .down
      state[.succeededWhileStarting] = false
      state.restart.isAutomatic = false
      emit(.finished, result: "success")
      return
    }
    // Nothing is logged for a unit that is up already; this can be checked only where entries name invocations.
    if state.phase == .up, entry.invocation != nil { return }
    if entry.mayHaveFinished, entry.remainsAfterExit != true {
      finishUnseen()
      return
    }
    if !isByRestartJob { endRestart() }
    if entry.invocation == nil, state.phase != .starting { state.begin(nil) }
    comeUp(isRestart: isByRestartJob)
  }

  mutating func comeUp(isRestart: Bool) {
    let answer = state.restart.comeUp(isContinued: isRestart)
    state.phase = .up
    emit(.started, restartJob: answer.isByJob, autoRestart: answer.isAutomatic)
    if answer.isRestarted { emit(.restarted, restartJob: answer.isByJob, autoRestart: answer.isAutomatic) }
    state[.gaveUpEmitted] = false
    state.stop = nil
  }

  /// A oneshot whose UNIT_SUCCESS is not logged. Where it is not known whether it stays active, it is taken not to, as most do not. If it does after all,
  /// its `stopped` is emitted.
  mutating func finishUnseen() {
    endRestart()
    state.phase = entry.remainsAfterExit == false ? .down : .unknown
    state.restart.isAutomatic = false
    emit(.finished, result: "success")
  }

  /// A start that was skipped logs UNIT_STARTED with no invocation (from 240 on jobs have one otherwise, except of devices,
  /// which are found and not started), or that of the last run. A start that has begun to work is skipped only by
  /// ExecCondition=.
  var isSkippedStart: Bool {
    if state[.skipEmitted] { return true }
    if state.phase == .starting { return false }
    return entry.showsSkippedStart ?? (entry.job?.id != nil && entry.invocation == nil)
  }

  mutating func skipped() {
    endRestart()
    state.phase = .down
    state[.skipEmitted] = true
    emit(.skipped)
  }

  mutating func startFailed() {
    let result = entry.job?.result ?? "failed"
    if result == "canceled", isByRestartJob { endRestart() }
    // "collected" means that the manager has dropped a job that is not needed; the others end a job without a start.
    guard !["done", "collected", "once", "canceled", "skipped"].contains(result) else { return }
    endRestart()
    state.restart.isAutomatic = false
    if let failed = state.pendingFailure {
      // A unit that was never up: what waited as its stop is none.
      state.pending = nil
      state.pendingFailure = nil
      state.phase = .down
      events.append(failed)
    } else if state[.gaveUpEmitted] {
      // That is the reason, and `gave-up` was emitted. The failure that systemd 234 and earlier log after it is the same.
      state[.gaveUpEmitted] = false
      state[.failureEmitted] = true
    } else if ["dependency", "assert", "unsupported", "invalid", "frozen", "concurrency"].contains(result) {
      // The unit itself was not touched, and INVOCATION_ID is its last run's.
      emit(.failed, result: result, invocation: .some(nil))
    } else if entry.isOldJobEnd, entry.invocation == nil {
      state[.failureEmitted] = true
      state.pendingFailure = event(.failed, result: state.likelyResult ?? result)
    } else if entry.invocation == nil, entry.job?.id != nil, state.invocation != nil {
      // Another start than that of the invocation that is known.
      emit(.failed, result: result)
    } else if !state[.failureEmitted] {
      state[.failureEmitted] = true
      emit(.failed, result: result)
    }
    if state.phase != .up { state.phase = .down }
    // That start is over; what comes next without an invocation is of another.
    if entry.invocation == nil, entry.job?.id != nil, state.invocation == nil { state[.failureEmitted] = false }
  }

  mutating func startLimitHit() {
    endRestart()
    if !state[.gaveUpEmitted] { emit(.gaveUp, result: "start-limit-hit") }
    state[.gaveUpEmitted] = true
    state.restart.isAutomatic = false
    if state.phase != .up { state.phase = .down }
  }

  /// A unit waits for its automatic restart only when it is down: the clean end that led there is not logged up to systemd
  /// 239 and by user managers.
  mutating func restartScheduled() {
    if state.phase == .up { goDown(result: "success", isClear: true) }
    // systemd 235–238 log it twice, the first time by text alone.
    if !state.restart.isAutomatic { emit(.restarting, nRestarts: entry.nRestarts) }
    state.restart.isAutomatic = true
    state.restart.count = entry.nRestarts
  }
}
