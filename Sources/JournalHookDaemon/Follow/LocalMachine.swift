internal import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Systemd

/// What only this machine's service manager knows: the other names of units, and changes of units that the journal does not
/// show.
final class LocalMachine {
  private let reader: EventReader
  private let hooks: HookStore
  private let boot: CurrentBoot
  private let manager: Manager
  private let watch: JournalWatch
  private let host: any DaemonHost
  private var timers: any Timers { host.timers }
  private var reconciler: Reconciler?
  private var reconciliation: Reconciliation
  private var timer: Timer?
  /// Counts questions for all aliases, so that late answers are not taken for new ones.
  private var aliasRound = 0
  /// Until when something may have happened unnoticed: at first before this process began, later before the connection.
  private var listening: UnitStatus.Moment?
  /// Reads what there is; whether all was read, so that what the journal does not explain now is missing.
  var look: () -> Bool = { false }
  /// Takes what was found.
  var take: (EventReader.Batch) -> Void = { _ in }

  /// How soon it is looked again whether answers of the manager can be compared, in microseconds.
  private static let interval: UInt64 = 20_000

  /// - Parameter began: when this process began.
  init(
    _ reader: EventReader, hooks: HookStore, boot: CurrentBoot, manager: Manager, watch: JournalWatch,
    host: any DaemonHost, began: UnitStatus.Moment
  ) {
    self.reader = reader
    self.hooks = hooks
    self.boot = boot
    self.manager = manager
    self.watch = watch
    self.host = host
    listening = began
    reconciliation = Reconciliation(machine: reader.machine, manager: manager, hostname: host.reading.hostname)
    reconciler = Reconciler(
      timers: host.timers, units: { [unowned self] in unitsToCompare() },
      take: { [unowned self] status, asked, listening in
        reconciliation.note(status, asked: asked, limit: listening)
        schedule()
      })
    watch.manager.onConnect = { [unowned self] in connected(to: $0) }
    watch.manager.onDisconnect = { [unowned self] in
      reconciler?.disconnected()
      reconciliation.clear()
    }
    watch.manager.onReload = { [unowned self] in resolveAliases() }
  }

  private func connected(to bus: any ManagerLink) {
    reconciler?.connected(to: bus, listening: listening ?? timers.moment)
    if listening == nil {
      reconciler?.request()
      resolveAliases()
    }
    listening = nil
  }

  // MARK: Comparing

  /// Something may have been missed: has the manager asked.
  func compare() { reconciler?.request() }

  /// The units that hooks name, and those known to be up that their patterns fit.
  private func unitsToCompare() -> [String] {
    let tracker = reader.tracker
    let matches = hooks.hooks.map(\.definition.match)
    var units = Set(hooks.namedUnits.map(hooks.aliases.unit(named:)))
    let isCurrent = tracker.isIn(boot, of: reader.machine)
    for (key, state) in tracker.units where isCurrent && key.manager == manager {
      guard state.phase == .up || state.phase == .starting, !units.contains(key.unit) else { continue }
      if matches.contains(where: { $0.concerns(key.unit, aliases: hooks.aliases.names(of: key.unit)) }) {
        units.insert(key.unit)
      }
    }
    return units.sorted()
  }

  /// The answers wait for the journal to explain them.
  private func schedule() {
    guard timer == nil, let due = reconciliation.nextDue else { return }
    let time = max(due, timers.monotonic + LocalMachine.interval)
    timer = timers.call(at: time, accuracy: 50_000) { [unowned self] in
      timer = nil
      // What is there and was not read yet may explain it.
      if look() { compareNow() }
      schedule()
    }
  }

  private func compareNow() {
    let now = timers.monotonic
    let findings = reconciliation.findings(by: reader.tracker, boot: boot, now: now)
    let batch = reader.take(findings, boot: boot, now: now)
    if !batch.isEmpty { take(batch) }
    reconciler?.askAgain(about: findings.undecided)
  }

  // MARK: Aliases

  /// Other hooks may be loaded.
  ///
  /// - Parameter mentioned: the units that the hooks mentioned before.
  func hooksHaveChanged(since mentioned: Set<String>) {
    // Units that are named for the first time may have other names, by which the next event is to be matched.
    let isNew = !mentioned.isSuperset(of: hooks.hooks.map(\.hook).mentionedUnits)
    if isNew { resolveAliasesNow() } else { resolveAliases() }
    // Of units that are named from now on it has to be known whether they are up.
    compare()
  }

  /// Asks what units are called otherwise, with a bounded wait: before the first event is answered.
  func resolveAliasesNow() { hooks.aliases = host.aliases(of: hooks.hooks.map(\.hook), manager: manager) }

  /// Asks without waiting: hooks or unit files have changed, or the manager can be asked again.
  func resolveAliases() {
    guard let bus = watch.bus else { return }
    let units = hooks.hooks.map(\.hook).mentionedUnits
    aliasRound += 1
    let round = aliasRound
    var found = UnitAliases()
    var left = units.count
    func answered() {
      left -= 1
      // A later round knows better.
      guard left <= 0, round == aliasRound else { return }
      hooks.aliases = found
    }
    if units.isEmpty { return answered() }
    for unit in units {
      do {
        try bus.askStatus(of: unit) { answer in
          if case .success(let status) = answer { found.note(status.unit, names: status.names, asked: unit) }
          answered()
        }
      } catch {
        answered()
      }
    }
  }
}

extension HookStore {
  /// The units that hooks are for by name, each once; not templates, which are none.
  fileprivate var namedUnits: [String] {
    Set(hooks.flatMap(\.definition.match.namedUnits)).filter { !UnitName($0).isTemplate }.sorted()
  }
}
