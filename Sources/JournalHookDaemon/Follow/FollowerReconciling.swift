internal import EventReading
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Systemd

/// What the journal did not tell, found by asking the manager.
extension Follower {
  /// Has the live manager asked, at the start and whenever there is a gap.
  func startReconciling() {
    guard options.selection.isLocal, let watch else { return }
    reconciler = Reconciler(
      loop: loop, units: { [unowned self] in unitsToCompare() },
      take: { [unowned self] status, asked, listening in compare(status, asked, listening) })
    watch.onConnect = { [unowned self] bus in managerIsThere(bus) }
    watch.onDisconnect = { [unowned self] in managerIsGone() }
    watch.onReload = { [unowned self] in resolveAliases() }
  }

  func managerIsThere(_ bus: Bus) {
    // Whatever was not noticed happened before this process began; later, before the connection.
    reconciler?.connected(to: bus, listening: hasConnected ? Reconciler.moment() : began)
    if hasConnected {
      reconciler?.request()
      resolveAliases()
    }
    hasConnected = true
  }

  func managerIsGone() {
    reconciler?.disconnected()
    reconciliation.clear()
  }

  /// The units that hooks name, and those known to be up that their patterns fit.
  func unitsToCompare() -> [String] {
    guard let tracker = readers.all.first?.tracker else { return [] }
    let matches = hooks.hooks.map(\.definition.match)
    var units = Set(hooks.namedUnits.map(hooks.aliases.unit(named:)))
    let isCurrent = tracker.isIn(boot, of: readers.all[0].machine)
    for (key, state) in tracker.units where isCurrent && key.manager == options.selection.manager {
      guard state.phase == .up || state.phase == .starting, !units.contains(key.unit) else { continue }
      if matches.contains(where: { $0.concerns(key.unit, aliases: hooks.aliases.names(of: key.unit)) }) {
        units.insert(key.unit)
      }
    }
    return units.sorted()
  }

  /// Takes an answer, and leaves it to the journal to explain.
  func compare(_ status: UnitStatus, _ asked: UnitStatus.Moment, _ listening: UnitStatus.Moment) {
    reconciliation.note(status, asked: asked, limit: listening)
    scheduleReconciliation()
  }

  func scheduleReconciliation() {
    guard reconciliationTimer == nil, !isDraining, let due = reconciliation.nextDue else { return }
    let time = max(due, loop.now() + Follower.reconciliationInterval)
    reconciliationTimer = try? loop.schedule(at: time, accuracy: 50_000) { [unowned self] in
      reconciliationTimer = nil
      look()
      // What is there and was not read yet may explain it.
      if isAtEnd, !isCatchingUp, uncommitted.isEmpty { reconcile() }
      scheduleReconciliation()
    }
  }

  private func reconcile() {
    guard let reader = readers.all.first else { return }
    let now = Clock.monotonic()
    let findings = reconciliation.findings(by: reader.tracker, boot: boot, now: now)
    let batch = reader.take(findings, boot: boot, now: now)
    if !batch.isEmpty {
      _ = take(batch, from: reader)
      // What was held for the end of the backlog would wait for ever.
      needsRelease = true
      if uncommitted.isEmpty { endBacklog() }
      scheduleFlush()
    }
    reconciler?.askAgain(about: findings.undecided)
  }
}

extension HookStore {
  /// The units that hooks are for by name, each once; not templates, which are none.
  var namedUnits: [String] {
    Set(hooks.flatMap(\.definition.match.namedUnits)).filter { !UnitName($0).isTemplate }.sorted()
  }
}
