internal import Systemd

/// One entry meeting one unit's state: the rules of the contract's section 2.
struct TrackerStep {
  private var state = UnitState()
  private var events: [LifecycleEvent] = []
  /// Whether an event waits after it.
  private(set) var leavesWaiting = false
  /// When that came, in microseconds since boot.
  private(set) var waitsSince: UInt64?
  private let entry: ManagerEntry
  private let origin: EventIdentity

  init(entry: consuming ManagerEntry, origin: EventIdentity) {
    self.entry = entry
    self.origin = origin
  }

  /// Changes the unit's state, and adds what is told to other events.
  mutating func run(on state: inout UnitState, emitting events: inout [LifecycleEvent]) {
    // Both are lent: to copy them would be most of the work.
    swap(&self.state, &state)
    swap(&self.events, &events)
    let before = self.events.count
    run()
    for index in before..<self.events.count {
      let (kind, invocation) = (self.events[index].kind, self.events[index].invocation)
      self.state.noteTurn(kind, at: self.events[index].monotonic)
      // The end of the invocation before this one may be among them, too.
      let isEnd = kind.direction == .down || kind == .finished
      if entry.source != .journal, isEnd, invocation == self.state.invocation { self.state.isEndEmitted = true }
    }
    leavesWaiting = self.state.isWaiting
    if leavesWaiting { waitsSince = self.state.waitsSince }
    swap(&self.state, &state)
    swap(&self.events, &events)
  }

  private mutating func run() {
    if entry.source == .journal, state.wasEmittedEarly(entry) { return }
    // A unit's invocations follow each other: one that is over has nothing more to tell.
    if let invocation = entry.invocation, state.previousInvocations.contains(invocation) { return }
    state.lastSeen = entry.monotonic
    settle()
    enterInvocation()
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
    case .outOfMemory: emit(.oom)
    case .startLimitHit: startLimitHit()
    case .failureHint: state.likelyResult = entry.result
    case .mainProcessExit:
      state.likelyResult = entry.result ?? state.likelyResult
      state.exitCode = entry.exitCode
      state.exitStatus = entry.exitStatus
    }
  }

  /// What waits does so no longer than until the unit's next entry, unless that is what it waits for.
  private mutating func settle() {
    guard state.isWaiting else { return }
    let isStart = entry.kind == .starting || entry.kind == .started
    switch (entry.kind, isStopWaiting: state.isStopWaiting, state.awaitsStart) {
    case (.stopped, true, false) where !state.isPartOfRestart: return
    case (.failureResult, true, true), (.failureResult, false, _): return
    case (.stopping, true, _) where state.awaitsStopping && isOfKnownInvocation: return
    case (.startFailed, true, false) where state.pendingFailure != nil: return
    default: break
    }
    // A start by the stop's job shows a restart whose UNIT_STOPPED was lost.
    let isSameJob = entry.job?.id != nil && entry.job?.id == state.stopJob
    let restart = state.isStopWaiting && isStart && (state.awaitsStart || isSameJob)
    state.emitWaiting(restart: restart, into: &events)
    if restart {
      state.restartJob = state.stopJob
      state.isRestarting = true
    }
    state.endStopJob()
  }

  private var isOfKnownInvocation: Bool { entry.invocation == nil || entry.invocation == state.invocation }

  private mutating func enterInvocation() {
    guard let invocation = entry.invocation, invocation != state.invocation else { return }
    if entry.source != .journal { state.noteEarly(invocation) }
    if state.invocation == nil {
      // systemd 232–234 tells it in some of an invocation's entries only.
      state.invocation = invocation
    } else {
      if state.phase == .up { goDownUnseen() }
      state.begin(invocation)
    }
  }

  /// A unit that was up has begun anew: its end was not logged, as it ended well and nobody logs that (up to systemd 239, and
  /// user managers since 249), or as the entry was lost.
  private mutating func goDownUnseen() {
    endRestart()
    var stopped = event(
      .stopped, result: state.likelyResult ?? "success", restartJob: false, invocation: .some(state.invocation))
    stopped.job = nil
    stopped.message = nil
    state.pending = stopped
    let isStart = entry.kind == .starting || entry.kind == .started
    let restart = isStart && entry.job?.id != nil && entry.job?.id == state.stopJob
    state.emitWaiting(restart: restart, into: &events)
    if restart {
      state.restartJob = state.stopJob
      state.isRestarting = true
    }
  }

  // MARK: Coming up

  private mutating func starting() {
    // An invocation starts once.
    guard entry.invocation == nil || state.phase == .unknown else { return }
    if !isByRestartJob { endRestart() }
    if entry.invocation == nil { state.begin(nil) }
    // A start that is no part of a restart brings back nothing that went down by one.
    if !isByRestartJob, !state.isAutoRestart { state.wentDown = false }
    state.phase = .starting
    state.isSkipEmitted = false
    state.startLimitHit = false
    emit(.starting)
  }

  private mutating func started() {
    guard entry.job?.result ?? "done" == "done" else { return }
    if isSkippedStart {
      endRestart()
      if !state.isSkipEmitted { emit(.skipped) }
      state.isSkipEmitted = false
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
      emit(.finished, result: "success")
      return
    }
    // Nothing is logged for a unit that is up already; only where invocations are told can that be checked.
    if state.phase == .up, entry.invocation != nil { return }
    if entry.mayHaveFinished, entry.remainsAfterExit != true {
      finishUnseen()
      return
    }
    if !isByRestartJob { endRestart() }
    if entry.invocation == nil, state.phase != .starting { state.begin(nil) }
    comeUp(isRestart: isByRestartJob)
  }

  private mutating func comeUp(isRestart: Bool) {
    let auto = state.isAutoRestart
    let restarted = state.wentDown && (auto || isRestart)
    state.phase = .up
    emit(.started, restartJob: state.unansweredRestart != nil, autoRestart: auto)
    if restarted { emit(.restarted, restartJob: state.unansweredRestart != nil, autoRestart: auto) }
    state.unansweredRestart = nil
    state.restartJob = nil
    state.isRestarting = false
    state.isAutoRestart = false
    state.wentDown = false
    state.startLimitHit = false
    state.endStopJob()
  }

  /// A oneshot whose UNIT_SUCCESS is not logged. Where nobody can tell whether it stays up, most do not; if it does after all,
  /// its stop is told.
  private mutating func finishUnseen() {
    endRestart()
    state.phase = entry.remainsAfterExit == false ? .down : .unknown
    state.isAutoRestart = false
    emit(.finished, result: "success")
  }

  /// A start that was skipped logs UNIT_STARTED with no invocation (from 240 on jobs have one otherwise, except of devices,
  /// which are found and not started), or that of the last run. A start that has begun to work is skipped only by
  /// ExecCondition=.
  private var isSkippedStart: Bool {
    if state.isSkipEmitted { return true }
    if state.phase == .starting { return false }
    return entry.showsSkippedStart ?? (entry.job?.id != nil && entry.invocation == nil)
  }

  private mutating func skipped() {
    endRestart()
    state.phase = .down
    state.isSkipEmitted = true
    emit(.skipped)
  }

  private mutating func startFailed() {
    let result = entry.job?.result ?? "failed"
    if result == "canceled", isByRestartJob { endRestart() }
    // "collected" means that the manager has dropped a job nobody needs; the others end a job without a start.
    guard !["done", "collected", "once", "canceled", "skipped"].contains(result) else { return }
    endRestart()
    state.isAutoRestart = false
    if let failed = state.pendingFailure {
      // A unit that was never up: what waited as its stop is none.
      state.pending = nil
      state.pendingFailure = nil
      state.phase = .down
      events.append(failed)
    } else if state.startLimitHit {
      // That is why, and it was told. The failure that 234 and before tell behind it is the same.
      state.startLimitHit = false
      state.isFailureEmitted = true
    } else if ["dependency", "assert", "unsupported", "invalid", "frozen", "concurrency"].contains(result) {
      // The unit itself was not touched, and INVOCATION_ID is its last run's.
      emit(.failed, result: result, invocation: .some(nil))
    } else if entry.isOldJobEnd, entry.invocation == nil {
      state.isFailureEmitted = true
      state.pendingFailure = event(.failed, result: state.likelyResult ?? result)
    } else if entry.invocation == nil, entry.job?.id != nil, state.invocation != nil {
      // Another start than that of the invocation that is known.
      emit(.failed, result: result)
    } else if !state.isFailureEmitted {
      state.isFailureEmitted = true
      emit(.failed, result: result)
    }
    if state.phase != .up { state.phase = .down }
    // That start is over; what comes next without an invocation is of another.
    if entry.invocation == nil, entry.job?.id != nil, state.invocation == nil { state.isFailureEmitted = false }
  }

  private mutating func startLimitHit() {
    endRestart()
    if !state.startLimitHit { emit(.gaveUp, result: "start-limit-hit") }
    state.startLimitHit = true
    state.isAutoRestart = false
    if state.phase != .up { state.phase = .down }
  }

  /// A unit waits for its automatic restart only when it is down: the clean end that led there is not logged up to systemd
  /// 239 and by user managers.
  private mutating func restartScheduled() {
    if state.phase == .up { goDown(result: "success", isClear: true) }
    // 235–238 tell it twice, the first time by text alone.
    if !state.isAutoRestart { emit(.restarting, nRestarts: entry.nRestarts) }
    state.isAutoRestart = true
    state.nRestarts = entry.nRestarts
  }

  // MARK: Going down

  private mutating func stopping() {
    if state.isStopWaiting { return stoppingLate() }
    // From systemd 240 on it is logged only for a unit that was up. So one whose start has not ended came up although its job
    // was canceled or replaced, which is not logged.
    if state.phase == .starting, entry.invocation != nil, entry.job?.id != nil {
      let first = events.count
      comeUp(isRestart: state.isRestarting)
      for index in first..<events.count { events[index].job = nil }
    }
    endRestart()
    if state.phase != .down || state.invocation == nil { state.phase = .up }
    state.isStopping = true
    state.stopJob = entry.job?.id
    emit(.stopping)
  }

  /// The unit is down already: an instantaneous stop logs UNIT_STOPPING last, and only if it is part of a restart.
  private mutating func stoppingLate() {
    emit(.stopping)
    if let stopped = state.pending {
      // What is told first has not happened later.
      events[events.count - 1].realtime = stopped.realtime
      events[events.count - 1].monotonic = stopped.monotonic
    }
    state.awaitsStopping = false
    if state.isPartOfRestart {
      state.emitWaiting(restart: true, into: &events)
    } else if !state.awaitsStart {
      // Its UNIT_STOPPED was lost: a start by the same job shows whether it is a restart.
      state.isStopping = true
      state.stopJob = entry.job?.id
    }
  }

  private mutating func success() {
    state.isAutoRestart = false
    switch state.phase {
    case .starting: state.succeededWhileStarting = true
    case .down: break
    case .up, .unknown: goDown(result: "success", isClear: entry.source != .journal)
    }
  }

  private mutating func failureResult() {
    let result = entry.result ?? state.likelyResult ?? "failed"
    state.isAutoRestart = false
    if state.isWaiting {
      // Up to 234 the job's end comes first.
      state.pending?.result = result
      if !state.isFailureEmitted { state.pendingFailure = event(.failed, result: result) }
      state.pendingFailure?.result = result
      state.isFailureEmitted = true
      if !state.isStopWaiting { state.emitWaiting(restart: false, into: &events) }
    } else if result == "start-limit-hit" || state.startLimitHit {
      startLimitHit()
    } else if !state.isFailureEmitted {
      fail(result: result)
    }
  }

  private mutating func fail(result: String) {
    switch state.phase {
    case .starting, .down:
      endRestart()
      state.phase = .down
    case .unknown where state.unansweredRestart != nil:
      // What should have come up has failed.
      endRestart()
      state.phase = .down
    case .unknown where entry.source == .journal:
      // A unit that is first seen by a failure: was it up, or did its start fail? The next entry tells.
      state.pending = event(.stopped, result: result, restartJob: false)
      state.pendingFailure = event(.failed, result: result)
      state.isFailureEmitted = true
      return
    case .up, .unknown: goDown(result: result, isClear: true)
    }
    state.isFailureEmitted = true
    emit(.failed, result: result)
  }

  /// The unit is down.
  ///
  /// - Parameter isClear: whether that is no stop job's work if none has begun: an instantaneous stop logs its UNIT_STOPPED
  ///   first.
  private mutating func goDown(result: String, isClear: Bool) {
    endRestart()
    state.pending = event(.stopped, result: result, restartJob: false)
    if state.isStopping { return }
    if isClear { state.emitWaiting(restart: false, into: &events) } else { state.awaitsStopping = true }
  }

  private mutating func stopped() {
    let isInstantaneous = !state.isStopping && entry.source == .journal
    state.endStopJob()
    guard entry.job?.result ?? "done" == "done" else {
      state.emitWaiting(restart: false, into: &events)
      return
    }
    if !state.isStopWaiting, state.phase == .up || state.phase == .unknown {
      state.pending = event(.stopped, result: "success")
      state.awaitsStopping = isInstantaneous
    }
    state.succeededWhileStarting = false
    if entry.isOldJobEnd {
      awaitStart()
      return
    }
    let restart = entry.job?.type == "restart"
    if state.isStopWaiting {
      endRestart()
      if restart, isInstantaneous, state.awaitsStopping {
        state.pending?.take(from: entry)
        state.pending?.restartJob = true
      } else {
        state.emitWaiting(restart: restart, from: entry, into: &events)
      }
    }
    state.phase = .down
    if restart {
      state.restartJob = entry.job?.id
      state.isRestarting = true
    } else {
      endRestart()
      state.isAutoRestart = false
    }
  }

  /// Up to systemd 234 a restart's UNIT_STOPPED is that of a stop, word for word, and nothing links it to what follows. A unit
  /// that comes up again at once, before `LifecycleTracker.patience` is over, counts as restarted: with a stop and a start
  /// in quick succession that is wrong about the cause, but both ends agree.
  private mutating func awaitStart() {
    guard state.isStopWaiting else {
      // It was down: a start was stopped, or an automatic restart goes on.
      state.phase = .down
      return
    }
    endRestart()
    state.pending?.take(from: entry)
    state.awaitsStart = true
  }

  // MARK: Restarts

  private var isByRestartJob: Bool {
    if let job = entry.job?.id, let restartJob = state.restartJob { return job == restartJob }
    return state.isRestarting && entry.job?.id == nil
  }

  /// The restart that took the unit down will not bring it up again.
  private mutating func endRestart() {
    if let failed = state.emitFailedRestart(by: entry) { events.append(failed) }
    state.restartJob = nil
    state.isRestarting = false
  }

  private mutating func reload(_ kind: LifecycleEvent.Kind) {
    if state.phase == .unknown { state.phase = .up }
    emit(kind, result: kind == .reloadFailed ? entry.job?.result : nil)
  }

  // MARK: Telling

  private mutating func emit(
    _ kind: LifecycleEvent.Kind, result: String? = nil, restartJob: Bool? = nil, autoRestart: Bool? = nil,
    nRestarts: UInt32? = nil, invocation: String?? = nil
  ) {
    events.append(event(kind, result: result, restartJob: restartJob, autoRestart: autoRestart, invocation: invocation))
    if let nRestarts { events[events.count - 1].nRestarts = nRestarts }
  }

  private func event(
    _ kind: LifecycleEvent.Kind, result: String? = nil, restartJob: Bool? = nil, autoRestart: Bool? = nil,
    invocation: String?? = nil
  ) -> LifecycleEvent {
    let invocation = invocation ?? entry.invocation
    let isEnd = kind == .stopped || kind == .failed
    let isAuto = kind == .restarting || autoRestart == true
    return LifecycleEvent(
      id: origin.id(
        unit: entry.unit, kind: kind, source: .journal, invocation: invocation, monotonic: entry.monotonic),
      kind: kind, unit: entry.unit, result: result, restartJob: restartJob, autoRestart: autoRestart,
      invocation: invocation,
      job: entry.job, exitCode: isEnd ? state.exitCode : nil, exitStatus: isEnd ? state.exitStatus : nil,
      nRestarts: isAuto ? state.nRestarts : nil, message: entry.message, realtime: entry.realtime,
      monotonic: entry.monotonic, boot: entry.boot, machine: entry.machine, hostname: entry.hostname,
      manager: entry.manager, source: entry.source,
      cursor: entry.cursor.isEmpty ? nil : entry.cursor)
  }
}
