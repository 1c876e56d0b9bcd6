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

    /// The unit distinguishes nearly all keys, and this is done several times for each entry.
    package func hash(into hasher: inout Hasher) { hasher.combine(unit) }
  }

  /// How long a `stopped` waits for its job's UNIT_STOPPED, in microseconds of journal time. systemd logs it 0.2–5 ms later,
  /// and never if the job was replaced or canceled.
  package static let patience: UInt64 = 100_000

  /// Units to remember at most; beyond it those that have long ended are forgotten, then those that were silent longest.
  static let capacity = 8192

  package private(set) var units: [Key: UnitState] = [:]
  /// The boot of each machine that the last entries belong to.
  package private(set) var boots: [String: String] = [:]
  /// That of the last entry; nearly always that of the next, too.
  private var origin: EventIdentity?
  /// Units with a waiting event.
  private var waiting: Set<Key> = []
  /// None of them has waited since before that: most entries need not look at each.
  private var firstWait: UInt64 = .max
  /// Units whose state has changed since `takeChanges`, once for each time.
  private var changed: [Key] = []

  /// Of this machine: the boot that it is in. What was before its last soft reboot is forgotten at the first entry after it.
  package var currentBoot: CurrentBoot?
  private var isBehindSoftReboot = false

  package init() {}

  /// Continues from a saved state.
  package init(units: [Key: UnitState], boots: [String: String]) {
    self.units = units
    self.boots = boots
    waiting = Set(units.filter { $0.value.isWaiting }.keys)
    if !waiting.isEmpty { firstWait = 0 }
  }

  /// Since when at most an event waits, in microseconds since boot; nil if none does.
  package var waitingSince: UInt64? { waiting.isEmpty ? nil : firstWait }

  /// Whether an event waits, so that `flush` has to be called when no entry comes.
  package var isWaiting: Bool { !waiting.isEmpty }

  /// Whether the unit has taken the opposite turn since the event.
  ///
  /// - Parameter newestBoot: the boot that the event's machine is in. Of another boot than the event's, only what is known of
  ///   this one is known to be later.
  package func hasTurnedBack(since event: LifecycleEvent, newestBoot: String?) -> Bool {
    guard let turn = event.kind.direction, let known = boots[event.machine], known == event.boot || known == newestBoot,
      let state = units[Key(machine: event.machine, manager: event.manager, unit: event.unit)]
    else { return false }
    return (turn == .up ? state.lastDown : state.lastUp) > (known == event.boot ? event.monotonic : 0)
  }

  /// The units whose state has changed since the last call, once for each time; a unit that is not in `units` any more was
  /// forgotten.
  package mutating func takeChanges() -> [Key] {
    defer {
      // Nearly as many will come until the next call.
      let count = changed.count
      changed = []
      changed.reserveCapacity(count)
    }
    return changed
  }

  /// The events that an entry gives, in order. Events of other units that have waited long enough come first.
  package mutating func process(_ entry: ManagerEntry) -> [LifecycleEvent] {
    var events: [LifecycleEvent] = []
    process(entry, into: &events)
    return events
  }

  /// Adds the events that an entry gives to others.
  package mutating func process(_ entry: consuming ManagerEntry, into events: inout [LifecycleEvent]) {
    let last = origin.flatMap { $0.isOrigin(of: entry) ? $0 : nil }
    // Nearly always the boot is that of the last entry, and need not be looked up.
    if last == nil || currentBoot != nil { events += enter(entry.boot, of: entry.machine, at: entry.monotonic) }
    let origin = last ?? EventIdentity(machine: entry.machine, boot: entry.boot, manager: entry.manager)
    if last == nil { self.origin = origin }
    if isWaiting { flush(machine: entry.machine, until: entry.monotonic, into: &events) }
    let key = Key(machine: entry.machine, manager: entry.manager, unit: entry.unit)
    var step = TrackerStep(entry: entry, origin: origin)
    step.run(on: &units[key, default: UnitState()], emitting: &events)
    note(key, isWaiting: step.leavesWaiting, since: step.waitsSince)
    if units.count > LifecycleTracker.capacity { events += forgetSome() }
  }

  /// The events that have waited until now, in microseconds since the machine's boot, and need wait no longer.
  package mutating func flush(machine: String? = nil, until now: UInt64) -> [LifecycleEvent] {
    var events: [LifecycleEvent] = []
    flush(machine: machine, until: now, into: &events)
    return events
  }

  private mutating func flush(machine: String?, until now: UInt64, into events: inout [LifecycleEvent]) {
    guard now >= firstWait, now - firstWait >= LifecycleTracker.patience else { return }
    var due: [Key] = []
    var others = UInt64.max
    for key in waiting {
      guard let since = units[key]?.waitsSince else { continue }
      let isMeant = machine == nil || key.machine == machine
      if isMeant, now >= since, now - since >= LifecycleTracker.patience {
        due.append(key)
      } else {
        others = min(others, since)
      }
    }
    firstWait = others
    if !due.isEmpty { events += emit(due) }
  }

  /// All events that wait: at the end of what there is to read.
  package mutating func flushAll() -> [LifecycleEvent] { emit(Array(waiting)) }

  /// What waits of some units, and need wait no longer.
  package mutating func emit(_ keys: [Key]) -> [LifecycleEvent] {
    var events: [LifecycleEvent] = []
    for key in keys {
      guard var state = units[key] else { continue }
      let before = events.count
      state.emitWaiting(restart: false, into: &events)
      for event in events[before...] { state.noteTurn(event.kind, at: event.monotonic) }
      store(state, for: key)
    }
    return events.sorted(by: LifecycleTracker.isBefore)
  }

  private mutating func store(_ state: UnitState, for key: Key) {
    units[key] = state
    note(key, isWaiting: state.isWaiting, since: state.waitsSince)
  }

  private mutating func note(_ key: Key, isWaiting: Bool, since: UInt64?) {
    changed.append(key)
    if isWaiting {
      waiting.insert(key)
      firstWait = min(firstWait, since ?? 0)
    } else if !waiting.isEmpty {
      waiting.remove(key)
    }
  }

  /// A machine has booted again: nothing that was up is up any more, and what waited is emitted. Restarts that the shutdown has
  /// cut off have failed.
  private mutating func forgetBoot(of machine: String) -> [LifecycleEvent] {
    forget(units.keys.filter { $0.machine == machine })
  }

  /// Takes note of the boot that a machine is in at a time in microseconds since that boot.
  package mutating func enter(_ boot: String, of machine: String, at monotonic: UInt64) -> [LifecycleEvent] {
    let known = boots.updateValue(boot, forKey: machine)
    if known != boot { origin = nil }
    if let known, known != boot { return forgetBoot(of: machine) }
    guard !isBehindSoftReboot, let currentBoot, currentBoot.softReboot > 0, !currentBoot.isLater(than: boot, monotonic)
    else { return [] }
    isBehindSoftReboot = true
    return forget(units.filter { $0.key.machine == machine && $0.value.lastSeen < currentBoot.softReboot }.map(\.key))
  }

  /// Whether what is known of a machine is about this boot.
  package func isIn(_ boot: CurrentBoot, of machine: String) -> Bool { boots[machine] == boot.id }

  /// Takes a unit to be in a state that no entry has shown.
  package mutating func adopt(_ state: UnitState, for key: Key) { store(state, for: key) }

  /// Keeps memory bounded. A unit that is up and forgotten is seen for the first time again with its next entry, so that its `stopped` is emitted.
  private mutating func forgetSome() -> [LifecycleEvent] {
    let known = units.map { (key: $0.key, isSettled: $0.value.isSettled, lastSeen: $0.value.lastSeen) }
    let byWorth = known.sorted { $0.isSettled == $1.isSettled ? $0.lastSeen < $1.lastSeen : $0.isSettled }
    return forget(byWorth.prefix(LifecycleTracker.capacity / 4).map(\.key))
  }

  /// Forgets units; what waited is emitted, and restarts under way have failed.
  private mutating func forget(_ keys: [Key]) -> [LifecycleEvent] {
    var events: [LifecycleEvent] = []
    for key in keys {
      guard var state = units[key] else { continue }
      state.emitWaiting(restart: false, into: &events)
      if let failed = state.restart.fail() { events.append(failed) }
      units[key] = nil
      waiting.remove(key)
      changed.append(key)
    }
    return events.sorted(by: LifecycleTracker.isBefore)
  }

  /// A fixed order, whatever the order in a dictionary; a `stopped` comes before the `failed` of its entry.
  private static func isBefore(_ one: LifecycleEvent, _ other: LifecycleEvent) -> Bool {
    (one.monotonic, one.unit) < (other.monotonic, other.unit)
  }
}

extension LifecycleEvent {
  /// Takes time, place, job and text from the entry that has shown it.
  mutating func take(from entry: ManagerEntry) {
    job = entry.job
    message = entry.message
    realtime = entry.realtime
    monotonic = entry.monotonic
    cursor = entry.cursor
  }
}
