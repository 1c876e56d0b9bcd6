/// What the tracker knows about one unit.
package struct UnitState: Sendable, Equatable {
  /// Where the unit is in its life, as far as it was told.
  package enum Phase: String, Sendable {
    /// Nothing is known about this invocation's start.
    case unknown
    case starting
    case up
    case down
  }

  package var phase = Phase.unknown
  /// The last invocation that was seen.
  package var invocation: String?
  /// Those before it, which are over: the last two, latest first.
  package var previousInvocations: [String] = []
  /// Those that something else than the journal has told of first, oldest first, until the journal has come as far.
  package var earlyInvocations: [String] = []
  /// The invocation's end was told by something else than the journal, which has nothing to add then.
  package var isEndEmitted = false
  /// When the last entry about the unit came, in microseconds since the boot.
  package var lastSeen: UInt64 = 0
  /// When the unit last took the turn up, and down, in microseconds since the boot; 0 if that was not seen.
  package var lastUp: UInt64 = 0
  package var lastDown: UInt64 = 0

  /// A stop job is open.
  package var isStopping = false
  /// Its number, where the manager tells it.
  package var stopJob: UInt32?
  /// A `stopped` that waits for the stop job's UNIT_STOPPED, which tells whether it is a restart.
  @Aside package var pending: LifecycleEvent?
  /// Of what waits in `pending`: UNIT_STOPPING has not come. An instantaneous stop logs it last, and only as part of a restart.
  package var awaitsStopping = false
  /// UNIT_STOPPED has come, without the job's type (up to systemd 234): whether it is a restart shows only by a start that
  /// follows at once.
  package var awaitsStart = false
  /// A `failed` that waits: with `pending`, while it is not clear whether the unit had been up or its start has failed;
  /// alone, for the result, which up to systemd 234 is logged behind the job's end.
  @Aside package var pendingFailure: LifecycleEvent?

  /// The restart job that has taken the unit down.
  package var restartJob: UInt32?
  /// A restart job without a number (before systemd 240) has taken the unit down.
  package var isRestarting = false
  /// The last `stopped`, if it was told with `restart` and nothing has answered it yet.
  @Aside package var unansweredRestart: LifecycleEvent?
  /// A `stopped` was told since the last `started`.
  package var wentDown = false
  /// systemd has scheduled an automatic restart.
  package var isAutoRestart = false
  package var nRestarts: UInt32?

  /// `failed` was told for this invocation.
  package var isFailureEmitted = false
  /// UNIT_SUCCESS came while the unit was starting: a oneshot has run to completion, or its start was stopped.
  package var succeededWhileStarting = false
  package var isSkipEmitted = false
  /// `gave-up` was told, and what the start job's end says of it has not come yet.
  package var startLimitHit = false
  /// What the unit's result will be by what was said last, should it fail: where no other result is told.
  package var likelyResult: String?
  package var exitCode: String?
  package var exitStatus: String?

  package init() {}

  /// Forgets what belonged to the last invocation.
  mutating func begin(_ invocation: String?) {
    if let over = self.invocation { previousInvocations = [over] + previousInvocations.prefix(1) }
    self.invocation = invocation
    phase = .unknown
    likelyResult = nil
    isFailureEmitted = false
    succeededWhileStarting = false
    isStopping = false
    stopJob = nil
    exitCode = nil
    exitStatus = nil
    isEndEmitted = false
  }

  /// The stop job is over.
  mutating func endStopJob() {
    isStopping = false
    stopJob = nil
  }

  /// Whether a `stopped` waits.
  var isStopWaiting: Bool { !_pending.isEmpty }

  /// Whether UNIT_STOPPED of the `stopped` that waits has come, and was a restart's.
  var isPartOfRestart: Bool { _pending.read(\.restartJob) == true }

  /// Whether an event waits for the unit's next entry.
  var isWaiting: Bool { isStopWaiting || !_pendingFailure.isEmpty }

  /// When what waits came, in microseconds since the boot; nil if nothing does.
  var waitsSince: UInt64? { _pending.read(\.monotonic) ?? _pendingFailure.read(\.monotonic) }

  /// Whether nothing is open, so that forgetting the unit can at worst make its next entry a first one.
  var isSettled: Bool { phase == .down && !isWaiting && _unansweredRestart.isEmpty && !isAutoRestart }
}

extension UnitState {
  mutating func noteTurn(_ kind: LifecycleEvent.Kind, at monotonic: UInt64) {
    switch kind.direction {
    case .up: lastUp = monotonic
    case .down: lastDown = monotonic
    case nil: break
    }
  }

  /// Adds what waits to other events: the `stopped`, and the `failed` with it or alone.
  mutating func emitWaiting(restart: Bool, from entry: ManagerEntry? = nil, into events: inout [LifecycleEvent]) {
    if var stopped = _pending.take() {
      phase = .down
      wentDown = true
      let restart = restart || stopped.restartJob == true
      stopped.restartJob = restart
      if let entry { stopped.take(from: entry) }
      unansweredRestart = restart ? stopped : nil
      events.append(stopped)
    }
    if let failed = _pendingFailure.take() {
      isFailureEmitted = true
      events.append(failed)
    }
    awaitsStart = false
    awaitsStopping = false
  }

  /// The `stopped` that tells that a restart has not brought the unit up again; nil when none is owed.
  ///
  /// - Parameter entry: what has shown it; without one it is told as of the stop.
  mutating func emitFailedRestart(by entry: ManagerEntry? = nil) -> LifecycleEvent? {
    guard var stopped = _unansweredRestart.take() else { return nil }
    stopped.restartJob = false
    stopped.source = .restartFailed
    let origin = EventIdentity(machine: stopped.machine, boot: stopped.boot, manager: stopped.manager)
    stopped.id = origin.id(
      unit: stopped.unit, kind: .stopped, source: .restartFailed, invocation: stopped.invocation,
      monotonic: stopped.monotonic)
    if let entry { stopped.take(from: entry) }
    return stopped
  }
}
