package import Systemd

/// What the live manager has reported on the bus, until the journal shows it, too.
///
/// The journal is the truth; but clean exits were not logged before systemd 240, are not by user managers since 249, and
/// `LogLevelMax=` hides them. A change that the journal has not explained within a second, or has passed over, becomes
/// entries of its own (`BusChangeEntries`).
package struct BusWitness: Sendable {
  /// How long the journal has to explain a change, in microseconds.
  package static let patience: UInt64 = 1_000_000

  private struct Held {
    var word: BusChangeEntries
    var due: UInt64
  }

  /// A job that was canceled. This is not logged, and the job may have been the second half of a restart.
  private struct Canceled {
    var job: UInt32
    var unit: String
    var result: String
    var time: UInt64
    var realtime: UInt64
  }

  private let machine: String
  private let boot: String
  private let hostname: String?
  /// Changes from before are no news: the manager repeats where a unit is for many reasons.
  private let since: UInt64
  /// What the journal has yet to explain, oldest first.
  private var held: [Held] = []
  /// Oldest first.
  private var canceled: [Canceled] = []

  private var jobs = BusJobs()

  /// - Parameter since: when following began, in microseconds since boot.
  package init(machine: String, boot: String, hostname: String?, since: UInt64) {
    self.machine = machine
    self.boot = boot
    self.hostname = hostname
    self.since = since
  }

  /// Takes note of a job that was queued (without a result) or is gone.
  package mutating func note(job: UInt32, of unit: String, result: String?, now: UInt64, realtime: UInt64) {
    guard let result else { return jobs.isQueued(job, of: unit) }
    if result != "done" {
      canceled.append(Canceled(job: job, unit: unit, result: result, time: now, realtime: realtime))
    }
    guard jobs.isGone(job, of: unit) else { return }
    for index in held.indices where held[index].word.unit == unit && held[index].word.restartJob == job {
      held[index].word.restartJob = nil
    }
  }

  /// When the first change that waits for its explanation has waited long enough, in microseconds since boot; nil if none does.
  package var nextDue: UInt64? {
    [held.first?.due, canceled.first.map { $0.time &+ BusWitness.patience }].compactMap(\.self).min()
  }

  /// Takes note of what the manager said.
  ///
  /// - Parameters:
  ///   - now: in microseconds since boot.
  ///   - realtime: the wall-clock time in microseconds since 1970.
  package mutating func note(_ change: UnitChange, of manager: Manager, now: UInt64, realtime: UInt64) {
    let wasStopped = jobs.isTerminated(change.unit)
    let isByItself = change.job == 0 && !jobs.hasJob(change.unit)
    let account = BusChangeEntries(
      change, manager: manager, wasStopped: wasStopped, isByItself: isByItself, restartJob: jobs.restartJob(at: change))
    // An invocation comes up once. That it was down before it did was said of the one before it, in the new one's name: the
    // manager reports a state only after a moment.
    if account?.isUp ?? true {
      held.removeAll {
        !$0.word.isUp && $0.word.unit == change.unit && $0.word.manager == manager
          && $0.word.invocation == change.invocation && $0.word.time <= max(change.activeEnter, change.inactiveExit)
      }
    }
    guard var word = account, word.time > since else { return }
    // The same state again, for some other property's sake.
    if held.contains(where: { $0.word.isSame(as: word) }) { return }
    // The manager reported it a moment after it happened.
    word.realtime = realtime &- min(now &- min(word.time, now), BusWitness.patience)
    held.append(Held(word: word, due: now &+ BusWitness.patience))
  }

  /// What the journal has not explained in time, as if it had been logged; to be asked again until there is nothing, as what
  /// comes of one change decides about the next.
  package mutating func unexplained(by tracker: LifecycleTracker, now: UInt64) -> [ManagerEntry] {
    while let first = held.first, first.due <= now {
      held.removeFirst()
      let entries = missing(first.word, in: tracker)
      if !entries.isEmpty { return entries }
    }
    while let first = canceled.first, first.time &+ BusWitness.patience <= now {
      canceled.removeFirst()
      if let entry = brokenRestart(first, in: tracker) { return [entry] }
    }
    return []
  }

  /// The end of a restart whose job was called off when it had taken the unit down.
  private func brokenRestart(_ canceled: Canceled, in tracker: LifecycleTracker) -> ManagerEntry? {
    let mine = tracker.units.first { key, state in
      key.unit == canceled.unit && key.machine == machine && state.restart.job == canceled.job
        && state.restart.unanswered != nil
    }
    guard let (key, _) = mine else { return nil }
    return ManagerEntry(
      kind: .startFailed, unit: key.unit, manager: key.manager, machine: machine, hostname: hostname, boot: boot,
      realtime: canceled.realtime, monotonic: canceled.time, cursor: "", invocation: nil,
      job: .init(id: canceled.job, type: "start", result: canceled.result),
      message: "Seen on the bus: the job that was to start \(key.unit) again is \(canceled.result).", source: .bus)
  }

  /// What the journal has passed over by the time of an entry of the same unit, as if it had been logged; to be asked again
  /// until there is nothing.
  ///
  /// A manager logs in the order in which things happen. So an entry about an invocation shows that no more is to be expected
  /// about the one before it, and an entry about an invocation's end that none will come about its start.
  ///
  /// - Parameter saidAt: when the manager has sent the entry, in microseconds since boot, where that is known.
  package mutating func unexplained(
    by tracker: LifecycleTracker, before entry: ManagerEntry, saidAt: UInt64? = nil
  ) -> [ManagerEntry] {
    guard !held.isEmpty, let invocation = entry.invocation, entry.boot == boot, entry.machine == machine else {
      return []
    }
    let mine = held.indices.filter {
      let word = held[$0].word
      return word.unit == entry.unit && word.manager == entry.manager && word.time < entry.monotonic
    }
    guard !mine.isEmpty else { return [] }
    let state = tracker.units[.init(machine: machine, manager: entry.manager, unit: entry.unit)]
    // Late entries about what is over pass over nothing.
    if state?.previousInvocations.contains(invocation) == true { return [] }
    // A start that was refused bears the last invocation's id, of which all has happened by then.
    let hasComeUp =
      state?.phase == .up && state?.invocation == invocation
      || mine.contains { held[$0].word.isUp && held[$0].word.invocation == invocation }
    let isRefusal =
      entry.kind == .startLimitHit || entry.result == "start-limit-hit" || entry.kind == .startFailed && hasComeUp
    let isBegin = (entry.kind == .starting || entry.kind == .started) && invocation != state?.invocation
    let own = mine.firstIndex { held[$0].word.invocation == invocation }
    for (place, index) in mine.enumerated() {
      let word = held[index].word
      let isPassed =
        if word.invocation == invocation {
          isRefusal || word.isUp && entry.showsThatItWasUp
        } else if let own {
          place < own
        } else {
          // Whether it is older shows by what is known; or by when the manager said that the next has begun.
          word.invocation != nil
            && (word.invocation == state?.invocation || isBegin && word.time < saidAt ?? 0)
        }
      guard isPassed else { continue }
      held.remove(at: index)
      let entries = missing(word, in: tracker)
      return entries.isEmpty ? unexplained(by: tracker, before: entry, saidAt: saidAt) : entries
    }
    return []
  }

  /// For failures that are logged without what came before them (`LogLevelMax=`): that the start has failed, where the manager
  /// has reported that the unit was never up.
  package func failedStarts(in tracker: LifecycleTracker) -> [ManagerEntry] {
    held.map(\.word).compactMap { word in
      let state = tracker.units[.init(machine: machine, manager: word.manager, unit: word.unit)]
      guard let state, state.pending != nil, state.pendingFailure != nil, state.phase == .unknown,
        state.invocation == word.invocation, word.wasNeverUp
      else { return nil }
      return word.entry(.startFailed, machine: machine, boot: boot, hostname: hostname)
    }
  }

  /// The units whose `stopped` waits for a stop job's message, and that have no job which could log one.
  ///
  /// The manager reports a job before it begins with it (job_add_to_dbus_queue() in systemd's job.c).
  package func endsWithoutJob(in tracker: LifecycleTracker) -> [LifecycleTracker.Key] {
    held.map(\.word).filter { !$0.isUp && $0.isByItself }.compactMap { word in
      let key = LifecycleTracker.Key(machine: machine, manager: word.manager, unit: word.unit)
      guard let state = tracker.units[key], state.awaits.contains(.stopping), state.invocation == word.invocation else {
        return nil
      }
      return key
    }
  }

  /// The units that the manager has reported as active, and the journal has not shown yet.
  package func unitsComingUp() -> [(unit: String, invocation: String?)] {
    held.filter(\.word.isUp).map { ($0.word.unit, $0.word.invocation) }
  }

  private func missing(_ word: BusChangeEntries, in tracker: LifecycleTracker) -> [ManagerEntry] {
    let state = tracker.units[.init(machine: machine, manager: word.manager, unit: word.unit)]
    return word.missing(from: state, since: since, machine: machine, boot: boot, hostname: hostname)
  }
}

extension ManagerEntry {
  /// Whether it is about the end of an invocation, or something in it that only an active unit does.
  fileprivate var showsThatItWasUp: Bool {
    switch kind {
    case .stopping, .stopped, .success, .failureResult, .restartScheduled, .reloading, .reloaded: true
    case .starting, .started, .startFailed, .mainProcessExit, .failureHint, .skipped, .outOfMemory, .startLimitHit:
      false
    }
  }
}
