package import Systemd

/// What the live manager has told on the bus, until the journal has told it, too.
///
/// The journal is the truth; but clean exits were not logged before systemd 240, are not by user managers since 249, and
/// `LogLevelMax=` hides them. A change that the journal has not explained within a second, or has passed over, becomes
/// entries of its own (`BusAccount`).
package struct BusWitness: Sendable {
  /// How long the journal has to explain a change, in microseconds.
  package static let patience: UInt64 = 1_000_000

  private struct Held {
    var word: BusAccount
    var due: UInt64
  }

  private let machine: String
  private let boot: String
  private let hostname: String?
  /// Changes from before are no news: the manager repeats where a unit is for many reasons.
  private let since: UInt64
  /// What the journal has yet to explain, oldest first.
  private var held: [Held] = []

  /// - Parameter since: when following began, in microseconds since boot.
  package init(machine: String, boot: String, hostname: String?, since: UInt64) {
    self.machine = machine
    self.boot = boot
    self.hostname = hostname
    self.since = since
  }

  /// When the first change that waits for its explanation has waited long enough, in microseconds since boot; nil if none does.
  package var nextDue: UInt64? { held.first?.due }

  /// Takes note of what the manager said.
  ///
  /// - Parameters:
  ///   - now: in microseconds since boot.
  ///   - realtime: the wall-clock time in microseconds since 1970.
  package mutating func note(_ change: UnitChange, of manager: Manager, now: UInt64, realtime: UInt64) {
    guard var word = BusAccount(change, manager: manager), word.time > since else { return }
    // The same state again, for some other property's sake.
    if held.contains(where: { $0.word.isSame(as: word) }) { return }
    // An invocation comes up once: that it was down before was said of the one before it, in the new one's name.
    if word.isUp {
      held.removeAll { !$0.word.isUp && $0.word.isSameInvocation(as: word) && $0.word.time <= word.time }
    } else if held.contains(where: {
      $0.word.isUp && $0.word.isSameInvocation(as: word) && $0.word.time >= word.time
    }) {
      return
    }
    // The manager told it a moment after it happened.
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
    return []
  }

  /// What the journal has passed over by the time of an entry of the same unit, as if it had been logged; to be asked again
  /// until there is nothing.
  ///
  /// A manager logs in the order in which things happen. So an entry about an invocation tells that no more is to be expected
  /// about the one before it, and an entry about an invocation's end that none will come about its start.
  package mutating func unexplained(by tracker: LifecycleTracker, before entry: ManagerEntry) -> [ManagerEntry] {
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
    let own = mine.firstIndex { held[$0].word.invocation == invocation }
    for (place, index) in mine.enumerated() {
      let word = held[index].word
      let isPassed =
        if word.invocation == invocation {
          word.isUp && entry.tellsThatItWasUp
        } else if let own {
          place < own
        } else {
          // Whether it is older shows only by what is known.
          word.invocation != nil && word.invocation == state?.invocation
        }
      guard isPassed else { continue }
      held.remove(at: index)
      let entries = missing(word, in: tracker)
      return entries.isEmpty ? unexplained(by: tracker, before: entry) : entries
    }
    return []
  }

  private func missing(_ word: BusAccount, in tracker: LifecycleTracker) -> [ManagerEntry] {
    let state = tracker.units[.init(machine: machine, manager: word.manager, unit: word.unit)]
    return word.missing(from: state, since: since, machine: machine, boot: boot, hostname: hostname)
  }
}

extension ManagerEntry {
  /// Whether it is about the end of an invocation, or something in it that only an active unit does.
  fileprivate var tellsThatItWasUp: Bool {
    switch kind {
    case .stopping, .stopped, .success, .failureResult, .restartScheduled, .reloading, .reloaded: true
    case .starting, .started, .startFailed, .mainProcessExit, .mishap, .skipped, .outOfMemory, .startLimitHit: false
    }
  }
}
