internal import Glibc
internal import Systemd

/// A ledger that turns out to be damaged.
extension Follower {
  /// Begins with a new ledger where the old one is known to have been; true if there was need to.
  func placeAfterDamage() throws -> Bool {
    guard let damage = ledger.damage else { return false }
    let time = damage.since
    try ledger.settle(damage)
    for reader in readers.all {
      try ledger.begin(reader: reader.name, machine: reader.machine, at: time)
      try reader.seek(realtime: time)
    }
    try ledger.save(cursor: "@\(time)", of: readers.name)
    try ledger.makeDurable()
    ledger.removeDamageMark()
    reporter.say(
      "The ledger was damaged: \(damage.reason). It is set aside as \(damage.setAside ?? "nothing: it was gone"). Runs that "
        + "were waiting or under way in it are not done; what was done before is unknown.", .ledgerDamaged,
      priority: .critical)
    reporter.say("Following the journal from \(Timestamp(microseconds: time)) on.", .following, priority: .info)
    return true
  }

  /// Notes damage that shows only now, in the midst of something: what runs is ended, and the next start begins anew.
  func noteDamage(_ error: SQLiteError) {
    guard damageTurn == nil else { return }
    let since = readers.all.compactMap { committedTimes[$0.name] }.min()
    ledger.markDamaged(LedgerDamage(reason: error.message, since: since ?? Clock.now().microseconds))
    reporter.say(
      "The ledger is damaged: \(error). Runs under way are ended; the next start sets it aside and begins anew.",
      .ledgerDamaged, priority: .critical)
    isDraining = true
    damageTurn = try? loop.schedule { [unowned self] in
      executor.endAll(within: Follower.cutOffTime) { [loop] in loop.exit(1) }
    }
  }
}
