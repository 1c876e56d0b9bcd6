internal import EventReading
internal import RunLedger
internal import Systemd

/// What to do when the ledger seems to be damaged while following.
final class DamageControl {
  private let engine: RunEngine
  private let trouble: LedgerTrouble
  private let committed: () -> [String: UInt64]
  private var turn: Timer?
  private var end: AwaitedEnd?
  /// Called when the ledger is damaged, and all is to end.
  var onDamage: () -> Void = {}

  /// - Parameter committed: the time up to which all was dealt with, by reader.
  init(_ engine: RunEngine, trouble: LedgerTrouble, committed: @escaping () -> [String: UInt64]) {
    self.engine = engine
    self.trouble = trouble
    self.committed = committed
    engine.ledger.onCorruption = { [unowned self] in note($0) }
  }

  /// Notes what looks like damage, in the midst of something. A disk that could not read for a moment looks the same: so the ledger
  /// is read from end to end first.
  private func note(_ error: SQLiteError) {
    guard turn == nil else { return }
    turn = engine.timers.callSoon { [unowned self] in
      turn = nil
      if let problem = engine.ledger.problem() { endDamaged(problem) } else { useAnew(after: error) }
    }
  }

  /// Notices that somebody has removed or replaced the database: what would be written to it now is in no file any more.
  ///
  /// - Returns: whether the database may be written to.
  func checkPlace() -> Bool {
    if engine.ledger.isInPlace { return true }
    guard turn == nil, end == nil else { return false }
    try? Ledger.makeDirectory(engine.ledger.stateDirectory)
    endDamaged("it was removed or replaced while journalhook was running")
    return false
  }

  private func useAnew(after error: SQLiteError) {
    do {
      try engine.ledger.reopen()
      engine.reporter.say(
        "\(error). The ledger was read from end to end and is sound: it is used on. Look at the disk and its cables.",
        .trouble, priority: .error)
    } catch {
      trouble.note(error)
    }
  }

  /// What runs is ended, and the next start begins with a new ledger.
  private func endDamaged(_ reason: String) {
    let since = engine.readers.all.compactMap { committed()[$0.name] }.min() ?? engine.timers.realtime
    _ = engine.ledger.markDamaged(LedgerDamage(reason: reason, since: since))
    engine.reporter.say(
      "The ledger is damaged: \(reason). Runs under way are ended; the next start sets it aside and creates a new one.",
      .ledgerDamaged, priority: .critical)
    onDamage()
    turn = engine.timers.callSoon { [unowned self] in
      end = AwaitedEnd(of: engine.executor, within: FollowEnd.cutOffTime, timers: engine.timers) { [engine] in
        engine.loop.exit(1)
      }
    }
  }
}
