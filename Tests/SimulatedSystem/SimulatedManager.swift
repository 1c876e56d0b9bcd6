package import Systemd

/// What the manager sends on its bus.
package enum BusSignal: Sendable {
  /// PropertiesChanged of a unit, with what the manager knows of it at that moment.
  case change(UnitChange)
  case jobNew(UInt32, unit: String)
  case jobRemoved(UInt32, unit: String, result: String)
  /// The manager executes itself anew: the connection is gone.
  case connectionLost
  /// A connection is possible again; what happened in between was sent to nobody.
  case connectionBack
}

/// A message that the manager, or somebody else, has sent to journald.
package struct SentEntry: Sendable {
  /// Counts from 0 on.
  package var number: Int
  /// All that journald stores, without cursor and time of reception.
  package var fields: [JournalEntry.Field]
  /// When it was sent, in microseconds since boot.
  package var monotonic: UInt64
  /// The same in microseconds since 1970.
  package var realtime: UInt64
  package var boot: String
  /// What it is about, if the manager has sent it about a unit.
  package var unit: String?
  package var invocation: String?
}

/// PID 1 of a machine: it runs units, and tells of it as systemd does.
///
/// Its functions are named after what they do in systemd's src/core/{job,unit,service}.c, and do it in the same order, as far as
/// it can be seen from outside. All that is to happen later is asked of the clock.
package final class SimulatedManager {
  /// Where what it tells goes.
  package struct Outputs {
    package var onEntry: (SentEntry) -> Void = { _ in }
    package var onSignal: (BusSignal) -> Void = { _ in }
    /// The machine is off: every other process on it has ended, too.
    package var onPowerOff: () -> Void = {}
    /// The machine has booted. The clock's monotonic time is to start anew now.
    package var onBoot: (_ boot: String) -> Void = { _ in }

    package init() {}
  }

  /// The machine.
  package struct Machine: Sendable {
    package var version: SystemdVersion
    package var id: String
    package var hostname: String
  }

  /// The boot that the machine is in.
  package struct Boot: Sendable {
    package internal(set) var id = ""
    package internal(set) var number = 0
    package internal(set) var isOff = true
    /// Units are stopped for a shutdown, and no others are started.
    package internal(set) var isGoingDown = false
    /// Until then it executes itself anew, and does nothing else. Microseconds since boot.
    var busyUntil: UInt64 = 0
    /// The fields that journald adds to all messages of the manager.
    var fields: [JournalEntry.Field] = []
    var lastJob: UInt32 = 0
    /// The time of the last thing that was done.
    var lastTick: UInt64 = 0
  }

  /// What is to be done.
  struct Queues {
    /// Jobs to be looked at.
    var run: [SimulatedJob] = []
    var isRunScheduled = false
    /// Jobs that have to wait for others.
    var blocked: [SimulatedJob] = []
    /// Units and jobs that the bus is to be told about.
    var units: [SimulatedUnit] = []
    var jobs: [SimulatedJob] = []
    var isInTurn = false
  }

  package let machine: Machine
  package let clock: any SimulatedClock
  package var outputs = Outputs()
  /// What really happened, in the order of time.
  package internal(set) var facts: [TrueFact] = []
  package internal(set) var boot = Boot()
  /// How many entries were sent.
  package internal(set) var entryCount = 0
  let units: [SimulatedUnit]
  private let unitsByName: [String: SimulatedUnit]
  var numbers: SeededNumbers
  var queues = Queues()

  /// Makes a manager whose machine is off.
  package init(
    version: SystemdVersion, units descriptions: [UnitDescription], clock: any SimulatedClock, seed: UInt64
  ) {
    var numbers = SeededNumbers(seed: seed)
    machine = Machine(version: version, id: numbers.id(), hostname: "simulated")
    self.clock = clock
    self.numbers = numbers
    units = descriptions.map(SimulatedUnit.init)
    unitsByName = Dictionary(units.map { ($0.name, $0) }) { first, _ in first }
    for unit in units {
      unit.needs = unit.description.requires.compactMap { unitsByName[$0] }
      for name in unit.description.partOf + unit.description.requires { unitsByName[name]?.parts.append(unit) }
    }
  }

  func unit(_ name: String) -> SimulatedUnit? { unitsByName[name] }

  // MARK: Time

  /// A moment after all that was done before.
  func tick() -> UnitStatus.Moment {
    boot.lastTick = max(clock.monotonic, boot.lastTick + 1)
    return UnitStatus.Moment(
      monotonic: boot.lastTick, realtime: clock.realtime + (boot.lastTick - clock.monotonic))
  }

  /// Does one thing, and then what comes of it: one round of the manager's loop.
  func turn(_ action: () -> Void) {
    if queues.isInTurn { return action() }
    queues.isInTurn = true
    action()
    // Under load the bus has to wait for another round.
    if queues.units.isEmpty && queues.jobs.isEmpty || !numbers.isOne(in: 8) {
      sendSignals()
    } else {
      later(200...3000) {}
    }
    queues.isInTurn = false
    if !queues.run.isEmpty, !queues.isRunScheduled {
      queues.isRunScheduled = true
      later(20...2000) { [unowned self] in
        queues.isRunScheduled = false
        runJobs()
      }
    }
  }

  /// Does something after a while, unless the machine is off by then.
  func later(_ range: ClosedRange<UInt64>, _ action: @escaping () -> Void) {
    later(after: numbers.among(range), action)
  }

  private func later(after microseconds: UInt64, _ action: @escaping () -> Void) {
    let number = boot.number
    clock.after(microseconds) { [unowned self] in
      guard boot.number == number, !boot.isOff else { return }
      if clock.monotonic < boot.busyUntil { return later(after: boot.busyUntil - clock.monotonic, action) }
      turn(action)
    }
  }

  /// Ends a phase of a unit after a while, unless it has ended before.
  func later(_ unit: SimulatedUnit, _ range: ClosedRange<UInt64>, _ action: @escaping () -> Void) {
    let phase = unit.phase
    later(range) { if unit.phase == phase { action() } }
  }

  // MARK: Messages

  /// Sends a message about a unit.
  ///
  /// - Returns: its number; nil if the unit's `LogLevelMax=` hides it.
  @discardableResult func say(
    _ kind: MessageKind, _ unit: SimulatedUnit, job: SimulatedJob? = nil, _ more: [JournalEntry.Field] = []
  ) -> Int? {
    if unit.has(.isQuiet), machine.version.obeysLogLevelMax, kind.priority > 5 { return nil }
    var fields = unit.words.fields(of: kind, about: unit.description, version: machine.version)
    fields += unit.words.invocation
    if let job { fields.append(.init("JOB_ID", String(job.id))) }
    // A start that was skipped says so even if the unit never ran.
    if kind == .skipped, unit.words.invocation.isEmpty { fields.append(.init("INVOCATION_ID", "")) }
    return send(fields + more, about: unit)
  }

  @discardableResult func send(_ fields: [JournalEntry.Field], about unit: SimulatedUnit? = nil) -> Int {
    let moment = tick()
    let sent = JournalEntry.Field("_SOURCE_REALTIME_TIMESTAMP", String(moment.realtime))
    return deliver(boot.fields + fields + [sent], moment, about: unit)
  }

  @discardableResult func deliver(
    _ fields: [JournalEntry.Field], _ moment: UnitStatus.Moment, about unit: SimulatedUnit? = nil
  ) -> Int {
    defer { entryCount += 1 }
    outputs.onEntry(
      SentEntry(
        number: entryCount, fields: fields, monotonic: moment.monotonic, realtime: moment.realtime, boot: boot.id,
        unit: unit?.name, invocation: unit?.invocation))
    return entryCount
  }

  // MARK: The truth

  /// Notes a fact; returns its place in the list.
  @discardableResult func note(
    _ kind: TrueFact.Kind, _ unit: SimulatedUnit, told message: Int? = nil,
    _ fill: (inout TrueFact) -> Void = { _ in }
  ) -> Int {
    var fact = TrueFact(
      unit: unit.name, kind: kind, invocation: unit.invocation, boot: boot.id, monotonic: tick().monotonic)
    if let message { fact.messages = [message] }
    fill(&fact)
    facts.append(fact)
    return facts.count - 1
  }

  /// Notes that a message tells some facts.
  func note(_ message: Int?, tells places: [Int]) {
    guard let message else { return }
    for place in places { facts[place].messages.append(message) }
  }
}
