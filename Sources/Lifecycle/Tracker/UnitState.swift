/// What the tracker knows about one unit.
package struct UnitState: Sendable, Equatable {
  /// The state of the unit, as far as its entries have shown it.
  package enum Phase: String, Sendable {
    /// Nothing is known about this invocation's start.
    case unknown
    case starting
    case up
    case down
  }

  /// What was seen or emitted, and must not be taken for news.
  package struct Marks: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// `failed` was emitted for this invocation.
    package static let failureEmitted = Marks(rawValue: 1)
    /// `skipped` was emitted, and the start job's end has not come yet.
    package static let skipEmitted = Marks(rawValue: 2)
    /// `gave-up` was emitted, and what the start job's end says of it has not come yet.
    package static let gaveUpEmitted = Marks(rawValue: 4)
    /// The invocation's end was seen by something else than the journal, which has nothing to add then.
    package static let endEmitted = Marks(rawValue: 8)
    /// UNIT_SUCCESS came while the unit was starting: a oneshot has run to completion, or its start was stopped.
    package static let succeededWhileStarting = Marks(rawValue: 16)
  }

  /// What a `stopped` that waits is still waiting for, besides the stop job's UNIT_STOPPED.
  package struct Awaited: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// UNIT_STOPPING: an instantaneous stop logs it last, and only as part of a restart.
    package static let stopping = Awaited(rawValue: 1)
    /// UNIT_STOPPED has come, without the job's type (up to systemd 234): whether it is a restart shows only by a start that
    /// follows at once.
    package static let start = Awaited(rawValue: 2)
  }

  /// A stop job that is open.
  package struct StopJob: Sendable, Equatable {
    /// Its number, where the manager says it.
    package var id: UInt32?

    package init(id: UInt32? = nil) { self.id = id }
  }

  package var phase = Phase.unknown
  /// The last invocation that was seen.
  package var invocation: String?
  /// Those before it, which are over: the last two, latest first.
  package var previousInvocations: [String] = []
  /// Those of which something else than the journal was first to give events, oldest first, until the journal has come as far.
  package var earlyInvocations: [String] = []
  package var marks: Marks = []
  /// When the last entry about the unit came, in microseconds since the boot.
  package var lastSeen: UInt64 = 0
  /// When the unit last came up, and went down, in microseconds since the boot; 0 if that was not seen.
  package var lastUp: UInt64 = 0
  package var lastDown: UInt64 = 0
  package var stop: StopJob?
  /// A `stopped` that waits for the stop job's UNIT_STOPPED, which says whether it is a restart.
  @Aside package var pending: LifecycleEvent?
  package var awaits: Awaited = []
  /// A `failed` that waits: with `pending`, while it is not clear whether the unit had been up or its start has failed;
  /// alone, for the result, which up to systemd 234 is logged after the job's end.
  @Aside package var pendingFailure: LifecycleEvent?
  package var restart = RestartPairing()
  /// What the unit's result will be by what was said last, should it fail: where no other result is given.
  package var likelyResult: String?
  /// How the main process ended: `exited`, `killed` or `dumped`, and its exit status or signal.
  package var exit: Exit?

  /// How a main process ended.
  package struct Exit: Sendable, Equatable {
    package var code: String?
    package var status: String?

    package init(code: String?, status: String?) {
      self.code = code
      self.status = status
    }
  }

  package init() {}

  /// Forgets what belonged to the last invocation.
  mutating func begin(_ invocation: String?) {
    if let over = self.invocation { previousInvocations = [over] + previousInvocations.prefix(1) }
    self.invocation = invocation
    phase = .unknown
    likelyResult = nil
    marks.subtract([.failureEmitted, .succeededWhileStarting, .endEmitted])
    stop = nil
    exit = nil
  }

  /// Whether a mark is set.
  package subscript(mark: Marks) -> Bool {
    get { marks.contains(mark) }
    set { if newValue { marks.insert(mark) } else { marks.remove(mark) } }
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
  var isSettled: Bool { phase == .down && !isWaiting && restart.unanswered == nil && !restart.isAutomatic }
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
  mutating func emitWaiting(
    restart isRestart: Bool, from entry: ManagerEntry? = nil, into events: inout [LifecycleEvent]
  ) {
    if var stopped = _pending.take() {
      phase = .down
      stopped.restartJob = isRestart || stopped.restartJob == true
      if let entry { stopped.take(from: entry) }
      restart.note(stopped)
      events.append(stopped)
    }
    if let failed = _pendingFailure.take() {
      self[.failureEmitted] = true
      events.append(failed)
    }
    awaits = []
  }
}
