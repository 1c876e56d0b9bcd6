internal import EventReading
internal import Glibc
internal import Lifecycle
internal import RunLedger
internal import Systemd

/// A ledger that turns out to be damaged.
extension Follower {
  /// Begins with a new ledger where the old one is known to have been; true if there was need to.
  func placeAfterDamage() throws -> Bool {
    guard let damage = ledger.damage else { return false }
    let time = options.since ?? damage.since
    try ledger.settle(damage)
    try begin(at: time)
    ledger.removeDamageMark()
    let place = damage.setAside.map { "It is set aside as \($0)." } ?? "There was nothing in it to set aside."
    reporter.say(
      "The ledger was damaged: \(damage.reason). \(place) Runs that were waiting or under way in it are not done; what was "
        + "done before is unknown.", .ledgerDamaged, priority: .critical)
    let now = Clock.now().microseconds
    for reader in readers.all { report(Gap(.ledgerLost, since: damage.since, until: now), of: reader) }
    reporter.say("Following the journal from \(Timestamp(microseconds: time)) on.", .following, priority: .info)
    return true
  }

  /// Notes what looks like damage, in the midst of something. A disk that could not read for a moment looks the same: so the ledger
  /// is read from end to end first.
  func noteDamage(_ error: SQLiteError) {
    guard damageTurn == nil else { return }
    damageTurn = try? loop.schedule { [unowned self] in
      damageTurn = nil
      guard let problem = ledger.problem() else { return useAnew(after: error) }
      endDamaged(problem)
    }
  }

  private func useAnew(after error: SQLiteError) {
    do {
      try ledger.database.reopen()
      reporter.say(
        "\(error). The ledger was read from end to end and is sound: it is used on. Look at the disk and its cables.",
        .trouble,
        priority: .error)
    } catch {
      noteLedger(error: error)
      retryLater()
    }
  }

  /// What runs is ended, and the next start begins anew.
  private func endDamaged(_ reason: String) {
    let since = readers.all.compactMap { committedTimes[$0.name] }.min() ?? Clock.now().microseconds
    _ = ledger.markDamaged(LedgerDamage(reason: reason, since: since))
    reporter.say(
      "The ledger is damaged: \(reason). Runs under way are ended; the next start sets it aside and begins anew.",
      .ledgerDamaged, priority: .critical)
    isDraining = true
    damageTurn = try? loop.schedule { [unowned self] in
      executor.endAll(within: Follower.cutOffTime) { [loop] in loop.exit(1) }
    }
  }
}
