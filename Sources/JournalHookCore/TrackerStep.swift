/// One entry meeting one unit's state: the rules of the contract's section 2.
struct TrackerStep {
  var state: UnitState
  let entry: ManagerEntry
  private(set) var events: [LifecycleEvent] = []

  init(state: UnitState, entry: ManagerEntry) {
    self.state = state
    self.entry = entry
  }

  mutating func run() {
    state.lastSeen = entry.monotonic
    settlePending()
    if let invocation = entry.invocation, invocation != state.invocation, entry.kind != .startFailed {
      state.begin(invocation)
    }
    switch entry.kind {
    case .starting: starting()
    case .started: started()
    case .startFailed: startFailed()
    case .stopping: stopping()
    case .stopped: stopped()
    case .success: success()
    case .failureResult: failureResult()
    case .restartScheduled: restartScheduled()
    case .reloading: reload(.reloading)
    case .reloaded: reload(entry.job?.result == "done" ? .reloaded : .reloadFailed)
    case .skipped: skipped()
    case .outOfMemory: tell(.oom)
    case .startLimitHit: state.startLimitHit = true
    case .mainProcessExit:
      state.exitCode = entry.exitCode
      state.exitStatus = entry.exitStatus
    }
  }

  /// A waiting `stopped` waits no longer than until the unit's next entry. If that is its job's UNIT_STOPPED, `stopped()`
  /// tells it; a start by the same job shows a restart whose UNIT_STOPPED was lost.
  private mutating func settlePending() {
    guard state.pending != nil, entry.kind != .stopped else { return }
    if state.pendingFailure != nil, entry.kind == .startFailed { return }
    let sameJob = entry.job?.id != nil && entry.job?.id == state.stopJob
    let restart = sameJob && (entry.kind == .starting || entry.kind == .started)
    events += state.tellPending(restart: restart)
    if restart { state.restartJob = state.stopJob }
    state.isStopping = false
    state.stopJob = nil
  }

  // MARK: Coming up

  private mutating func starting() {
    if !isByRestartJob { endRestart() }
    // The same invocation again only where the manager tells none.
    state.begin(entry.invocation)
    state.phase = .starting
    state.skippedTold = false
    state.startLimitHit = false
    state.gaveUpTold = false
    tell(.starting)
  }

  private mutating func started() {
    guard entry.job?.result ?? "done" == "done" else { return }
    if isSkippedStart {
      endRestart()
      if !state.skippedTold { tell(.skipped) }
      state.skippedTold = false
      state.isAutoRestart = false
      return
    }
    // A oneshot's last message is "started", yet it has ended: with UNIT_SUCCESS before it. If the history began in between,
    // that UNIT_SUCCESS was taken for a stop.
    if state.succeededWhileStarting || (state.phase == .down && entry.invocation != nil) {
      endRestart()
      state.phase = .down
      state.succeededWhileStarting = false
      state.isAutoRestart = false
      tell(.finished, result: "success")
      return
    }
    // Nothing is logged for a unit that is up already; only where invocations are told can that be checked.
    if state.phase == .up, entry.invocation != nil { return }
    if !isByRestartJob { endRestart() }
    let auto = state.isAutoRestart
    let restarted = state.wentDown && (auto || isByRestartJob)
    state.phase = .up
    tell(.started, restart: state.unansweredRestart != nil, auto: auto)
    if restarted { tell(.restarted, auto: auto) }
    state.unansweredRestart = nil
    state.restartJob = nil
    state.isRestarting = false
    state.isAutoRestart = false
    state.wentDown = false
    state.isStopping = false
    state.stopJob = nil
    state.startLimitHit = false
    state.gaveUpTold = false
  }

  /// A start that was skipped logs UNIT_STARTED with no invocation (from 240 on jobs have one otherwise), or that of the
  /// last run. A start that has begun to work is skipped only by ExecCondition=.
  private var isSkippedStart: Bool {
    if state.skippedTold { return true }
    if state.phase == .starting { return false }
    if entry.tellsSkippedStart { return true }
    return entry.job?.id != nil && entry.invocation == nil
  }

  private mutating func skipped() {
    endRestart()
    state.phase = .down
    state.skippedTold = true
    tell(.skipped)
  }

  private mutating func startFailed() {
    let result = entry.job?.result ?? "failed"
    // "collected" means that the manager has dropped a job nobody needs; the others end a job without a start.
    guard !["done", "collected", "once", "canceled", "skipped"].contains(result) else { return }
    endRestart()
    state.isAutoRestart = false
    if let failed = state.pendingFailure {
      // A unit that was never up: what waited as its stop is none.
      state.pending = nil
      state.pendingFailure = nil
      state.phase = .down
      state.failedTold = true
      events.append(failed)
    } else if state.gaveUpTold {
      // Told with the failure result before.
    } else if state.startLimitHit {
      tell(.gaveUp, result: "start-limit-hit")
    } else if ["dependency", "assert", "unsupported", "invalid", "frozen", "concurrency"].contains(result) {
      // The unit itself was not touched, and INVOCATION_ID is its last run's.
      tell(.failed, result: result, invocation: .some(nil))
    } else if !state.failedTold {
      state.failedTold = true
      tell(.failed, result: result)
    }
    state.gaveUpTold = false
    state.startLimitHit = false
    if state.phase != .up { state.phase = .down }
  }

  private mutating func restartScheduled() {
    state.isAutoRestart = true
    state.nRestarts = entry.nRestarts
    tell(.restarting)
  }

  // MARK: Going down

  private mutating func stopping() {
    endRestart()
    // systemd logs it only for a unit that was up.
    state.phase = .up
    state.isStopping = true
    state.stopJob = entry.job?.id
    tell(.stopping)
  }

  private mutating func success() {
    state.isAutoRestart = false
    switch state.phase {
    case .starting: state.succeededWhileStarting = true
    case .down: break
    case .up, .unknown: goDown(result: "success")
    }
  }

  private mutating func failureResult() {
    let result = entry.result ?? "failed"
    state.isAutoRestart = false
    if state.startLimitHit || result == "start-limit-hit" {
      endRestart()
      state.startLimitHit = false
      if !state.gaveUpTold { tell(.gaveUp, result: "start-limit-hit") }
      state.gaveUpTold = true
      if state.phase != .up { state.phase = .down }
      return
    }
    // A second one for an invocation announces that the start limit was hit; the job's message follows.
    if state.failedTold {
      state.startLimitHit = true
      return
    }
    switch state.phase {
    case .starting, .down:
      endRestart()
      state.phase = .down
      state.failedTold = true
      tell(.failed, result: result)
    case .unknown where state.exitCode == nil:
      // A unit that is first seen by a failure: was it up, or did its start fail? The next entry tells.
      state.pending = event(.stopped, result: result, restart: false)
      state.pendingFailure = event(.failed, result: result)
    case .up, .unknown:
      goDown(result: result)
      state.failedTold = true
      tell(.failed, result: result)
    }
  }

  private mutating func goDown(result: String) {
    endRestart()
    let stopped = event(.stopped, result: result, restart: false)
    if state.isStopping {
      state.pending = stopped
    } else {
      state.pending = stopped
      events += state.tellPending(restart: false)
    }
  }

  private mutating func stopped() {
    guard entry.job?.result ?? "done" == "done" else {
      events += state.tellPending(restart: false)
      return
    }
    let restart = entry.job?.type == "restart"
    if state.pending == nil, state.phase == .up || state.phase == .unknown {
      state.pending = event(.stopped, result: "success", restart: restart)
    }
    if state.pending != nil {
      endRestart()
      events += state.tellPending(restart: restart, from: entry)
    }
    state.phase = .down
    state.isStopping = false
    state.stopJob = nil
    state.succeededWhileStarting = false
    if restart {
      state.restartJob = entry.job?.id
      state.isRestarting = true
    } else {
      endRestart()
      state.isAutoRestart = false
    }
  }

  // MARK: Restarts

  private var isByRestartJob: Bool {
    if let job = entry.job?.id, let restartJob = state.restartJob { return job == restartJob }
    return state.isRestarting && entry.job?.id == nil
  }

  /// The restart that took the unit down will not bring it up again.
  private mutating func endRestart() {
    if let failed = state.tellFailedRestart(by: entry) { events.append(failed) }
    state.restartJob = nil
    state.isRestarting = false
  }

  private mutating func reload(_ kind: LifecycleEvent.Kind) {
    if state.phase == .unknown { state.phase = .up }
    tell(kind, result: kind == .reloadFailed ? entry.job?.result : nil)
  }

  // MARK: Telling

  private mutating func tell(
    _ kind: LifecycleEvent.Kind, result: String? = nil, restart: Bool? = nil, auto: Bool? = nil,
    invocation: String?? = nil
  ) {
    events.append(
      event(kind, result: result, restart: restart, auto: auto, invocation: invocation))
  }

  private func event(
    _ kind: LifecycleEvent.Kind, result: String? = nil, restart: Bool? = nil, auto: Bool? = nil,
    invocation: String?? = nil
  ) -> LifecycleEvent {
    let invocation = invocation ?? entry.invocation
    let isEnd = kind == .stopped || kind == .failed
    let isAuto = kind == .restarting || auto == true
    return LifecycleEvent(
      id: EventID.derive(
        machine: entry.machine, boot: entry.boot, manager: entry.manager, unit: entry.unit, kind: kind,
        source: .journal,
        invocation: invocation, monotonic: entry.monotonic),
      kind: kind, unit: entry.unit, result: result, restart: restart, auto: auto, invocation: invocation,
      job: entry.job, exitCode: isEnd ? state.exitCode : nil, exitStatus: isEnd ? state.exitStatus : nil,
      nRestarts: isAuto ? state.nRestarts : nil, message: entry.message, realtime: entry.realtime,
      monotonic: entry.monotonic, boot: entry.boot, machine: entry.machine, hostname: entry.hostname,
      manager: entry.manager, source: entry.source,
      cursor: entry.cursor.isEmpty ? nil : entry.cursor)
  }
}
