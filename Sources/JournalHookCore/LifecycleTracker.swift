/// Turns what service managers say into lifecycle events.
///
/// It is a value: an entry goes in, events come out, and what it has to remember is kept by unit. Nothing here reads a clock:
/// time is that of the entries, and `flush` when no entry comes.
package struct LifecycleTracker: Sendable {
  /// A unit of one manager of one machine.
  package struct Key: Hashable, Sendable {
    package var machine: String
    package var manager: Manager
    package var unit: String

    package init(machine: String, manager: Manager, unit: String) {
      self.machine = machine
      self.manager = manager
      self.unit = unit
    }
  }

  /// How long a `stopped` waits for its job's UNIT_STOPPED, in microseconds of journal time. systemd logs it 0.2–5 ms later,
  /// and never if the job was replaced or canceled.
  package static let patience: UInt64 = 100_000

  /// Units to remember at most; beyond it those that have long ended are forgotten.
  static let capacity = 8192

  package private(set) var units: [Key: UnitState] = [:]
  /// The boot of each machine that the last entries belong to.
  package private(set) var boots: [String: String] = [:]
  /// Units with a waiting event.
  private var waiting: Set<Key> = []
  /// Units whose state has changed since `takeChanges`.
  private var changed: Set<Key> = []

  package init() {}

  /// Continues from a saved state.
  package init(units: [Key: UnitState], boots: [String: String]) {
    self.units = units
    self.boots = boots
    waiting = Set(units.filter { $0.value.pending != nil }.keys)
  }

  /// Whether an event waits, so that `flush` has to be called when no entry comes.
  package var isWaiting: Bool { !waiting.isEmpty }

  /// The units whose state has changed since the last call; a unit that is not in `units` any more was forgotten.
  package mutating func takeChanges() -> Set<Key> {
    defer { changed = [] }
    return changed
  }

  /// The events that an entry tells, in order. Events of other units that have waited long enough come first.
  package mutating func process(_ entry: ManagerEntry) -> [LifecycleEvent] {
    var events: [LifecycleEvent] = []
    if let boot = boots[entry.machine], boot != entry.boot {
      events += forgetBoot(of: entry.machine)
    } else if isWaiting {
      events += flush(machine: entry.machine, until: entry.monotonic)
    }
    boots[entry.machine] = entry.boot

    let key = Key(machine: entry.machine, manager: entry.manager, unit: entry.unit)
    var step = TrackerStep(state: units[key] ?? UnitState(), entry: entry)
    step.run()
    events += step.events
    store(step.state, for: key)
    if units.count > LifecycleTracker.capacity { forgetEnded() }
    return events
  }

  /// The events that have waited until now, in microseconds since the machine's boot, and need wait no longer.
  package mutating func flush(machine: String? = nil, until now: UInt64) -> [LifecycleEvent] {
    let due = waiting.filter { key in
      guard machine == nil || key.machine == machine, let pending = units[key]?.pending else { return false }
      return pending.monotonic &+ LifecycleTracker.patience <= now
    }
    return tell(due)
  }

  /// All events that wait: at the end of what there is to read.
  package mutating func flushAll() -> [LifecycleEvent] { tell(waiting) }

  private mutating func tell(_ keys: Set<Key>) -> [LifecycleEvent] {
    var events: [LifecycleEvent] = []
    for key in keys {
      guard var state = units[key] else { continue }
      events += state.tellPending(restart: false)
      store(state, for: key)
    }
    return events.sorted { $0.monotonic < $1.monotonic }
  }

  private mutating func store(_ state: UnitState, for key: Key) {
    units[key] = state
    changed.insert(key)
    if state.pending == nil { waiting.remove(key) } else { waiting.insert(key) }
  }

  /// A machine has booted anew: nothing that was up is up any more, and what waited is told. Restarts that the shutdown has
  /// cut off have failed.
  private mutating func forgetBoot(of machine: String) -> [LifecycleEvent] {
    var events: [LifecycleEvent] = []
    for (key, var state) in units where key.machine == machine {
      events += state.tellPending(restart: false)
      if let failed = state.tellFailedRestart() { events.append(failed) }
      units[key] = nil
      waiting.remove(key)
      changed.insert(key)
    }
    return events.sorted { $0.monotonic < $1.monotonic }
  }

  private mutating func forgetEnded() {
    let ended = units.filter { $0.value.isSettled }.sorted { $0.value.lastSeen < $1.value.lastSeen }
    for (key, _) in ended.prefix(LifecycleTracker.capacity / 4) {
      units[key] = nil
      changed.insert(key)
    }
  }
}

extension UnitState {
  /// Gives out the waiting `stopped`, and the `failed` that waited with it.
  mutating func tellPending(restart: Bool, from entry: ManagerEntry? = nil) -> [LifecycleEvent] {
    guard var stopped = pending else { return [] }
    pending = nil
    phase = .down
    wentDown = true
    stopped.restart = restart
    if let entry {
      stopped.job = entry.job
      stopped.message = entry.message
      stopped.realtime = entry.realtime
      stopped.monotonic = entry.monotonic
      stopped.cursor = entry.cursor
    }
    unansweredRestart = restart ? stopped : nil
    defer { pendingFailure = nil }
    if let failed = pendingFailure {
      failedTold = true
      return [stopped, failed]
    }
    return [stopped]
  }

  /// The `stopped` that tells that a restart has not brought the unit up again; nil when none is owed.
  ///
  /// - Parameter entry: what has shown it; without one it is told as of the stop.
  mutating func tellFailedRestart(by entry: ManagerEntry? = nil) -> LifecycleEvent? {
    guard var stopped = unansweredRestart else { return nil }
    unansweredRestart = nil
    stopped.restart = false
    stopped.source = .restartFailed
    stopped.id = EventID.derive(
      machine: stopped.machine, boot: stopped.boot, manager: stopped.manager, unit: stopped.unit, kind: .stopped,
      source: .restartFailed, invocation: stopped.invocation, monotonic: stopped.monotonic)
    if let entry {
      stopped.job = entry.job
      stopped.message = entry.message
      stopped.realtime = entry.realtime
      stopped.monotonic = entry.monotonic
      stopped.cursor = entry.cursor
    }
    return stopped
  }
}
