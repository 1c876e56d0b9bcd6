internal import EventReading
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import RunLedger
internal import Runs
internal import Systemd

/// Notices hooks that form a cycle, and suspends them.
///
/// An event follows from a run if it happens while the run is under way, or shortly after, to a unit that the run's hook is
/// known to act on (`HookEffects`). A run keeps its cause in the ledger, so that a restart forgets no chain. When the same hook
/// comes back for the same unit too often, in one chain of causes or in all of them together, that is a cycle. A hook that makes
/// transient units (`systemd-run`) acts on units that come to be while it runs, or shortly after: when their events run the same
/// hook again too often, one from the other, that is a cycle as well. Of other hooks this is not assumed: units that somebody else
/// starts in a row, while a hook runs for the first of them, are no cycle, and none of their events may be lost.
final class LoopGuard {
  /// How often a run may lead to the same hook's next run for the same unit, and in how many microseconds.
  static let limit = 10
  static let interval: UInt64 = 300_000_000
  /// How long after a run what it has begun (`--no-block`) may still show, in microseconds.
  private static let aftermath: UInt64 = 2_000_000
  /// How long after a run a unit that it has made is first heard of, in microseconds.
  private static let birthTime: UInt64 = 500_000

  private struct Place: Hashable {
    var hook: String
    var machine: String
    var unit: String
  }

  /// What is to be done with a run.
  enum Verdict {
    case pass(cause: Int64?)
    case suspended(reason: String)
  }

  private let ledger: Ledger
  /// The hooks that are loaded, by name, with what they do to units.
  private let effects: () -> [(hook: String, effects: HookEffects)]
  private let report: (String) -> Void
  /// Until when, in microseconds of event time, and why.
  private var suspended: [Place: (until: UInt64, reason: String)] = [:]

  /// What the last event followed from that was looked at.
  private var lastCause: (event: String, run: Int64?)?

  private var newUnits: NewUnits
  private let hasUnitFile: (String) -> Bool

  /// - Parameters:
  ///   - effects: the hooks that are loaded, by name, with what they do to units.
  ///   - units: those that have been there.
  ///   - hasUnitFile: whether a unit is made by a file, so that it was there before it was heard of.
  ///   - report: called once for each cycle.
  init(
    ledger: Ledger, effects: @escaping () -> [(hook: String, effects: HookEffects)],
    units: some Sequence<LifecycleTracker.Key>, hasUnitFile: @escaping (String) -> Bool,
    report: @escaping (String) -> Void
  ) {
    self.ledger = ledger
    self.effects = effects
    newUnits = NewUnits(known: units)
    self.hasUnitFile = hasUnitFile
    self.report = report
  }

  /// Takes note of an event, before runs that it leads to are judged.
  func note(_ event: LifecycleEvent) { newUnits.note(event) }

  /// How many hooks are suspended, and until when the first of them, in microseconds of event time.
  func suspension(at time: UInt64) -> (hooks: Int, until: UInt64?) {
    let open = suspended.filter { $0.value.until > time }
    return (Set(open.keys.map(\.hook)).count, open.values.map(\.until).min())
  }

  /// Looks at a run that an event leads to.
  func judge(_ event: LifecycleEvent, by hook: String) -> Verdict {
    let place = Place(hook: hook, machine: event.machine, unit: event.unit)
    if let (until, reason) = suspended[place] {
      if event.realtime < until { return .suspended(reason: reason) }
      suspended[place] = nil
    }
    // What systemd's own Restart= does is no effect of a hook.
    guard event.autoRestart != true else { return .pass(cause: nil) }
    guard let cause = try? cause(of: event) else { return judgeNewUnit(event, by: hook) }
    let since = event.realtime - min(event.realtime, LoopGuard.interval)
    guard let chain = try? ledger.causes(of: cause, since: since) else { return .pass(cause: cause) }
    let before = chain.count { $0.hook == hook && $0.unit == event.unit }
    if before == 0 { return .pass(cause: cause) }
    // A cycle may branch into many short chains.
    let returns = (try? ledger.countFollowing(hook: hook, unit: event.unit, since: since)) ?? 0
    guard max(before, returns) >= LoopGuard.limit else { return .pass(cause: cause) }
    // From this hook's last run on, the oldest first.
    var cycle: [(hook: String, unit: String)] = []
    for link in chain {
      cycle.insert((link.hook, link.unit), at: 0)
      if link.hook == hook, link.unit == event.unit { break }
    }
    let names = (cycle.map(\.hook) + [hook]).joined(separator: " → ")
    let until = event.realtime &+ LoopGuard.interval
    let reason = "hooks form a cycle: \(names); suspended until \(Timestamp(microseconds: until))"
    for link in cycle {
      suspended[Place(hook: link.hook, machine: event.machine, unit: link.unit)] = (until, reason)
    }
    report(
      "Hooks form a cycle, \(LoopGuard.limit) times in 5 minutes: \(names) (units "
        + "\(cycle.map(\.unit).joined(separator: ", "))). They are suspended until \(Timestamp(microseconds: until)). "
        + "Have one of them ignore what the other does (RestartJob=no, a condition), or remove one.")
    return .suspended(reason: reason)
  }

  /// Looks at a run for a unit that may have come to be by a hook's run.
  private func judgeNewUnit(_ event: LifecycleEvent, by hook: String) -> Verdict {
    guard let birth = newUnits.birth(of: event), !NewUnits.comeFromOutside(event.unit),
      RateLimiter.group(of: event.unit) != event.unit || !hasUnitFile(event.unit),
      let cause = try? cause(ofBirth: birth)
    else { return .pass(cause: nil) }
    // A place of no unit stands for all that come to be while the hook runs.
    let place = Place(hook: hook, machine: event.machine, unit: "")
    if let (until, reason) = suspended[place], event.realtime < until { return .suspended(reason: reason) }
    let since = event.realtime - min(event.realtime, LoopGuard.interval)
    let chain = (try? ledger.causes(of: cause, since: since)) ?? []
    guard chain.count(where: { $0.hook == hook }) >= LoopGuard.limit else { return .pass(cause: cause) }
    let until = event.realtime &+ LoopGuard.interval
    let last = chain.prefix { $0.hook != hook }.reversed().map(\.hook)
    let names = ([hook] + last + [hook]).joined(separator: " → ")
    let reason =
      "hooks drive each other in a cycle by units that come to be while they run: \(names); suspended until "
      + "\(Timestamp(microseconds: until))"
    suspended[place] = (until, reason)
    let before = chain.prefix(LoopGuard.limit * (last.count + 1)).reversed().map(\.unit)
    let units = (before + [event.unit]).joined(separator: " → ")
    report(
      "Hook \(hook) drives itself in a cycle, \(LoopGuard.limit) times in 5 minutes: \(names), each time for a unit "
        + "that came to be while a hook ran for the one before: \(units). Until \(Timestamp(microseconds: until)) \(hook) is "
        + "suspended for units that come to be while it runs. Have its Unit= leave out what it starts.")
    return .suspended(reason: reason)
  }

  /// The newest run under way, at the time at which a unit came to be, of a hook that makes units.
  private func cause(ofBirth time: UInt64) throws -> Int64? {
    var newest: Int64?
    for hook in effects() where hook.effects.makesUnits {
      let runs = try ledger.runsUnderWay(of: hook.hook, at: time, aftermath: LoopGuard.birthTime)
      newest = (runs.map(\.id) + [newest].compactMap(\.self)).max()
    }
    return newest
  }

  /// The newest run that the event follows from, as far as it is known. Every run waits for this: the ledger is asked once for
  /// an event, however many hooks answer it, and only for hooks that may act on its unit.
  private func cause(of event: LifecycleEvent) throws -> Int64? {
    if let lastCause, lastCause.event == event.id { return lastCause.run }
    var newest: Int64?
    for hook in effects() where hook.effects.mayAffect(event.unit) {
      let runs = try ledger.runsUnderWay(of: hook.hook, at: event.realtime, aftermath: LoopGuard.aftermath)
      for run in runs where hook.effects.affects(event.unit, inRunFor: run.unit) {
        newest = max(newest ?? run.id, run.id)
      }
    }
    lastCause = (event.id, newest)
    return newest
  }
}

extension LoopGuard {
  /// For what follow's hooks do on this machine.
  convenience init(_ engine: RunEngine, _ reader: EventReader, manager: Manager) {
    let host = engine.host
    self.init(
      ledger: engine.ledger, effects: { [hooks = engine.hooks] in hooks.hooks.map { ($0.name, $0.effects) } },
      units: reader.tracker.units.keys, hasUnitFile: { host.hasUnitFile($0, manager: manager) }
    ) { [reporter = engine.reporter] in reporter.say($0, .cycle, priority: .error) }
  }
}
