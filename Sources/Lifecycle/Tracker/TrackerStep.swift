internal import Systemd

/// What one entry does to the state of one unit, and the events that it gives (journalhook-events(7)).
struct TrackerStep {
  var state = UnitState()
  var events: [LifecycleEvent] = []
  /// Whether an event waits after it.
  private(set) var leavesWaiting = false
  /// When that came, in microseconds since boot.
  private(set) var waitsSince: UInt64?
  let entry: ManagerEntry
  let origin: EventIdentity

  init(entry: consuming ManagerEntry, origin: EventIdentity) {
    self.entry = entry
    self.origin = origin
  }

  /// Changes the unit's state, and adds the events that it gives to others.
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
      if entry.source != .journal, isEnd, invocation == self.state.invocation { self.state[.endEmitted] = true }
    }
    leavesWaiting = self.state.isWaiting
    if leavesWaiting { waitsSince = self.state.waitsSince }
    swap(&self.state, &state)
    swap(&self.events, &events)
  }

  mutating func run() {
    if entry.source == .journal, state.wasEmittedEarly(entry) { return }
    // A unit's invocations follow each other: one that is over gives no more events.
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
      state.exit = .init(code: entry.exitCode, status: entry.exitStatus)
    }
  }

  /// What waits does so no longer than until the unit's next entry, unless that is what it waits for.
  mutating func settle() {
    guard state.isWaiting else { return }
    let isStart = entry.kind == .starting || entry.kind == .started
    switch (entry.kind, isStopWaiting: state.isStopWaiting, state.awaits.contains(.start)) {
    case (.stopped, true, false) where !state.isPartOfRestart: return
    case (.failureResult, true, true), (.failureResult, false, _): return
    case (.stopping, true, _) where state.awaits.contains(.stopping) && isOfKnownInvocation: return
    case (.startFailed, true, false) where state.pendingFailure != nil: return
    default: break
    }
    // A start by the stop's job shows a restart whose UNIT_STOPPED was lost.
    let isSameJob = RestartPairing.isRestart(entry, of: state.stop)
    let restart = state.isStopWaiting && isStart && (state.awaits.contains(.start) || isSameJob)
    state.emitWaiting(restart: restart, into: &events)
    if restart {
      state.restart.begin(by: state.stop?.id)
    }
    state.stop = nil
  }

  var isOfKnownInvocation: Bool { entry.invocation == nil || entry.invocation == state.invocation }

  mutating func enterInvocation() {
    guard let invocation = entry.invocation, invocation != state.invocation else { return }
    if entry.source != .journal { state.noteEarly(invocation) }
    if state.invocation == nil {
      // systemd 232–234 names it in some of an invocation's entries only.
      state.invocation = invocation
      // A start that was refused is of no invocation: what comes now is the first one's, and no late message of one that is over.
      let isStart = entry.kind == .starting || entry.kind == .started
      if isStart, state.phase == .down, !state[.succeededWhileStarting] { state.phase = .unknown }
    } else {
      if state.phase == .up { goDownUnseen() }
      state.begin(invocation)
    }
  }

  /// A unit that was up has started again: its end was not logged, because a clean end is not logged (up to systemd 239, and
  /// user managers since 249), or as the entry was lost.
  mutating func goDownUnseen() {
    endRestart()
    var stopped = event(
      .stopped, result: state.likelyResult ?? "success", restartJob: false, invocation: .some(state.invocation))
    stopped.job = nil
    stopped.message = nil
    state.pending = stopped
    let restart = RestartPairing.isRestart(entry, of: state.stop)
    state.emitWaiting(restart: restart, into: &events)
    if restart {
      state.restart.begin(by: state.stop?.id)
    }
  }

  // MARK: Restarts

  var isByRestartJob: Bool { state.restart.isContinued(by: entry.job?.id) }

  /// The restart that took the unit down will not bring it up again.
  mutating func endRestart() {
    if let failed = state.restart.fail(by: entry) { events.append(failed) }
  }

  mutating func reload(_ kind: LifecycleEvent.Kind) {
    if state.phase == .unknown { state.phase = .up }
    emit(kind, result: kind == .reloadFailed ? entry.job?.result : nil)
  }

  // MARK: Telling

  mutating func emit(
    _ kind: LifecycleEvent.Kind, result: String? = nil, restartJob: Bool? = nil, autoRestart: Bool? = nil,
    nRestarts: UInt32? = nil, invocation: String?? = nil
  ) {
    events.append(event(kind, result: result, restartJob: restartJob, autoRestart: autoRestart, invocation: invocation))
    if let nRestarts { events[events.count - 1].nRestarts = nRestarts }
  }

  func event(
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
      job: entry.job, exitCode: isEnd ? state.exit?.code : nil, exitStatus: isEnd ? state.exit?.status : nil,
      nRestarts: isAuto ? state.restart.count : nil, message: entry.message, realtime: entry.realtime,
      monotonic: entry.monotonic, boot: entry.boot, machine: entry.machine, hostname: entry.hostname,
      manager: entry.manager, source: entry.source,
      cursor: entry.cursor.isEmpty ? nil : entry.cursor)
  }
}
