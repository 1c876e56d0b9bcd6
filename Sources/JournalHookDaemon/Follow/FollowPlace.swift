internal import EventReading
internal import Lifecycle
internal import RunLedger
internal import Systemd

/// Where following begins: where it was left, where `--since` says, or at the journal's end.
struct FollowPlace {
  let engine: RunEngine
  let gaps: GapDetector
  let options: FollowOptions

  private var readers: EventReaders { engine.readers }
  private var ledger: Ledger { engine.ledger }

  /// Takes all readers to where they begin.
  ///
  /// - Parameter committed: takes the time up to which all was dealt with, by reader.
  func take(_ committed: inout [String: UInt64]) throws {
    if let damage = ledger.damage { return try begin(after: damage) }
    if let since = options.since {
      if !options.again { try ledger.requireRuns(since: since) }
      // Written down at once: a restart before the first entry must not go back to where an earlier one was.
      try begin(at: since)
      say("Following the journal from \(Timestamp(microseconds: since)) on.")
    } else if try ledger.position(of: readers.name) != nil {
      for reader in readers.all { try resume(reader, &committed) }
    } else {
      // Written down even where there is nothing yet: what comes then is not to be skipped by a later start.
      var beginnings = [Ledger.Beginning(reader: readers.name, at: .from(engine.timers.realtime))]
      for reader in readers.all {
        if let end = try reader.seekEnd() { beginnings.append(.init(reader: reader.name, at: .after(end))) }
      }
      try ledger.begin(beginnings)
      try ledger.makeDurable()
      say("Following the journal for the first time, from its end. Use --since for earlier events.")
    }
  }

  /// Goes on where a reader was left; a machine that is new is read from its first entry on.
  func resume(_ reader: EventReader, _ committed: inout [String: UInt64]) throws {
    switch try ledger.position(of: reader.name) {
    case .after(let cursor):
      committed[reader.name] = cursor.realtime + 1
      let tracker = try ledger.tracker(of: reader.machine)
      let machine = readers.local == nil ? " of machine \(reader.machine)" : ""
      if let place = try reader.resume(after: cursor, tracker: tracker) {
        try gaps.judge(place, of: reader, isStarting: true)
      } else {
        let time = Timestamp(microseconds: cursor.realtime)
        say("Following the journal\(machine) from where it was left, \(time).")
      }
    case .from(let time):
      committed[reader.name] = time
      try reader.seek(realtime: time)
    case nil: break
    }
  }

  /// Has all readers begin at a time, in microseconds since 1970.
  private func begin(at time: UInt64) throws {
    // Of several machines' journals that of all, too, or the next start would take itself for the first.
    try ledger.begin(
      readers.all.map { .init(reader: $0.name, at: .from(time), forgetting: $0.machine) }
        + [.init(reader: readers.name, at: .from(time))])
    try ledger.makeDurable()
    for reader in readers.all { try reader.seek(realtime: time) }
  }

  /// Begins with a new ledger where the old one is known to have been.
  private func begin(after damage: LedgerDamage) throws {
    let time = options.since ?? damage.since
    try ledger.recordLoss(damage)
    try begin(at: time)
    ledger.removeDamageMark()
    let place = damage.setAside.map { "It is set aside as \($0)." } ?? "There was nothing in it to set aside."
    engine.reporter.say(
      "The ledger was damaged: \(damage.reason). \(place) Runs that were waiting or under way in it are not done; what was "
        + "done before is unknown.", .ledgerDamaged, priority: .critical)
    for reader in readers.all {
      gaps.report(Gap(.ledgerLost, since: damage.since, until: engine.timers.realtime), of: reader)
    }
    say("Following the journal from \(Timestamp(microseconds: time)) on.")
  }

  private func say(_ text: String) { engine.reporter.say(text, .following, priority: .info) }
}
