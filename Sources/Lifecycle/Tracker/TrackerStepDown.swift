internal import Systemd

/// Entries that say that a unit goes down.
extension TrackerStep {
  mutating func stopping() {
    if state.isStopWaiting { return stoppingLate() }
    // From systemd 240 on it is logged only for a unit that was up. So one whose start has not ended came up although its job
    // was canceled or replaced, which is not logged.
    if state.phase == .starting, entry.invocation != nil, entry.job?.id != nil {
      let first = events.count
      comeUp(isRestart: state.restart.isOpen)
      for index in first..<events.count { events[index].job = nil }
    }
    endRestart()
    if state.phase != .down || state.invocation == nil { state.phase = .up }
    state.stop = .init(id: entry.job?.id)
    emit(.stopping)
  }

  /// The unit is down already: an instantaneous stop logs UNIT_STOPPING last, and only if it is part of a restart.
  mutating func stoppingLate() {
    emit(.stopping)
    if let stopped = state.pending {
      // What is emitted first must not have a later time.
      events[events.count - 1].realtime = stopped.realtime
      events[events.count - 1].monotonic = stopped.monotonic
    }
    state.awaits.remove(.stopping)
    if state.isPartOfRestart {
      state.emitWaiting(restart: true, into: &events)
    } else if !state.awaits.contains(.start) {
      // Its UNIT_STOPPED was lost: a start by the same job shows whether it is a restart.
      state.stop = .init(id: entry.job?.id)
    }
  }

  mutating func success() {
    state.restart.isAutomatic = false
    switch state.phase {
    case .starting: state[.succeededWhileStarting] = true
    case .down: break
    case .up, .unknown: goDown(result: "success", isClear: entry.source != .journal)
    }
  }

  mutating func failureResult() {
    let result = entry.result ?? state.likelyResult ?? "failed"
    state.restart.isAutomatic = false
    if state.isWaiting {
      // Up to 234 the job's end comes first.
      state.pending?.result = result
      if !state[.failureEmitted] { state.pendingFailure = event(.failed, result: result) }
      state.pendingFailure?.result = result
      state[.failureEmitted] = true
      if !state.isStopWaiting { state.emitWaiting(restart: false, into: &events) }
    } else if result == "start-limit-hit" || state[.gaveUpEmitted] {
      startLimitHit()
    } else if !state[.failureEmitted] {
      fail(result: result)
    }
  }

  mutating func fail(result: String) {
    switch state.phase {
    case .starting, .down:
      endRestart()
      state.phase = .down
    case .unknown where state.restart.unanswered != nil:
      // What should have come up has failed.
      endRestart()
      state.phase = .down
    case .unknown where entry.source == .journal:
      // A unit that is first seen by a failure: was it up, or did its start fail? The next entry shows it.
      state.pending = event(.stopped, result: result, restartJob: false)
      state.pendingFailure = event(.failed, result: result)
      state[.failureEmitted] = true
      return
    case .up, .unknown: goDown(result: result, isClear: true)
    }
    state[.failureEmitted] = true
    emit(.failed, result: result)
  }

  /// The unit is down.
  ///
  /// - Parameter isClear: whether that is no stop job's work if none has begun: an instantaneous stop logs its UNIT_STOPPED
  ///   first.
  mutating func goDown(result: String, isClear: Bool) {
    endRestart()
    state.pending = event(.stopped, result: result, restartJob: false)
    if state.stop != nil { return }
    if isClear { state.emitWaiting(restart: false, into: &events) } else { state.awaits.insert(.stopping) }
  }

  mutating func stopped() {
    let isInstantaneous = state.stop == nil && entry.source == .journal
    state.stop = nil
    guard entry.job?.result ?? "done" == "done" else {
      state.emitWaiting(restart: false, into: &events)
      return
    }
    if !state.isStopWaiting, state.phase == .up || state.phase == .unknown {
      state.pending = event(.stopped, result: "success")
      state.awaits = isInstantaneous ? .stopping : []
    }
    state[.succeededWhileStarting] = false
    if entry.isOldJobEnd {
      awaitStart()
      return
    }
    let restart = RestartPairing.isStopOfRestart(entry)
    if state.isStopWaiting {
      endRestart()
      if restart, isInstantaneous, state.awaits.contains(.stopping) {
        state.pending?.take(from: entry)
        state.pending?.restartJob = true
      } else {
        state.emitWaiting(restart: restart, from: entry, into: &events)
      }
    }
    state.phase = .down
    if restart {
      state.restart.begin(by: entry.job?.id)
    } else {
      endRestart()
      state.restart.isAutomatic = false
    }
  }
}
