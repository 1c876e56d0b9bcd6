internal import Lifecycle
internal import SimulatedSystem

/// What must hold when a history is over. It knows the hooks, the machine's truth, what the hooks have done, and the ledger.
struct Judge {
  let world: World
  let history: History
  /// What was there before the last replay.
  private let told: [LedgerRun]
  private let runs: [LedgerRun]
  private(set) var complaints: [String] = []

  private init(_ world: World, _ history: History, told: [LedgerRun]) {
    self.told = told
    self.world = world
    self.history = history
    runs = world.ledgerRuns()
  }

  private func has(_ kinds: Step.Kind...) -> Bool { history.steps.contains { kinds.contains($0.kind) } }

  /// Everything that does not hold.
  ///
  /// - Parameter told: the runs before the replay of everything.
  static func complaints(about world: World, _ history: History, told: [LedgerRun]) -> [String] {
    var judge = Judge(world, history, told: told)
    judge.complaints = world.faults + world.hooks.faults
    judge.judgeEvents()
    judge.judgeRuns()
    judge.judgeAttempts()
    judge.judgeOrder()
    judge.judgeTurns()
    judge.judgeReplay()
    judge.judgeMessages()
    return judge.complaints
  }

  // MARK: Events

  /// The events that journalhook has seen, in its order. What a replay has done beside follow is put where it belongs.
  private var seen: [SeenEvent] {
    let all = told.filter { $0.hook == HookSet.all.name }
    guard has(.startReplay) else { return all.map(\.event) }
    var boots: [String: Int] = [:]
    for run in all where boots[run.event.boot] == nil {
      boots[run.event.boot] = world.manager.facts.firstIndex { $0.kind == .booted && $0.boot == run.event.boot }
    }
    return all.sorted {
      ((boots[$0.event.boot] ?? 0), $0.monotonic, $0.id) < ((boots[$1.event.boot] ?? 0), $1.monotonic, $1.id)
    }.map(\.event)
  }

  /// Nothing lost, nothing invented, restart pairs closed: the oracle knows what has really happened.
  private mutating func judgeEvents() {
    var lost = Oracle.Lost()
    for entry in world.journald.lost + world.journald.late { lost.insert(entry) }
    // What has happened in the last moments may still be on its way.
    let facts = world.manager.facts
    for entry in world.journald.sentSince(world.settledAt - min(world.settledAt, Judge.way)) { lost.insert(entry) }
    complaints += Oracle.judge(facts, events: seen, lost: lost, isOrdered: !has(.startReplay))
  }

  /// How long it takes at most until what happens is a run, in microseconds.
  private static let way: UInt64 = 5_000_000

  // MARK: Runs

  /// Each hook has a run for each event that is for it, and for no other; and all have an end.
  private mutating func judgeRuns() {
    if !world.hooks.isEmpty { complaints.append("processes of hooks are left") }
    var byKey: [RunKey: LedgerRun] = [:]
    for run in runs {
      byKey[run.key] = run
      if !HookSet.mayEnd(run.hook, run.state, hasBooted: world.manager.boot.number > 1, areOthers: has(.otherHooks)) {
        complaints.append(
          "run \(run.id) of \(run.hook) for \(run.event.unit) \(run.event.kind) is \(run.state) \(run.reason)")
      }
    }
    guard !has(.otherHooks) else { return }
    for event in seen {
      for hook in world.hookSet.names where HookSet.isFor(hook, event) {
        if byKey[RunKey(event: event.id, hook: hook)] == nil {
          complaints.append("no run of \(hook) for \(event.unit) \(event.kind)")
        }
      }
    }
    for run in runs where run.hook != "90-answer" && !HookSet.isFor(run.hook, run.event) {
      complaints.append("run \(run.id) of \(run.hook) is not for \(run.event.unit) \(run.event.kind)")
    }
  }

  // MARK: Attempts

  /// No first attempt twice, no finished run repeated, and whatever is in the ledger was done.
  private mutating func judgeAttempts() {
    struct Attempt: Hashable {
      var key: RunKey
      var number: Int
      var epoch: Int
    }
    var begun: Set<Attempt> = []
    var ended: Set<Attempt> = []
    var states: [RunKey: LedgerRun] = [:]
    for run in runs { states[run.key] = run }
    for line in world.hooks.lines {
      let key = RunKey(event: line.event.id, hook: line.hook)
      let attempt = Attempt(key: key, number: line.attempt, epoch: line.epoch)
      let what =
        "attempt \(line.attempt) of run \(line.run) of \(line.hook) for \(line.event.unit) \(line.event.kind.rawValue)"
      if line.deed == .end {
        ended.insert(attempt)
        continue
      }
      if !begun.insert(attempt).inserted { complaints.append("\(what) begins twice") }
      if line.epoch > 0, let cut = world.finished[key], cut <= line.epoch {
        complaints.append("\(what) begins, although it was finished before the power was cut")
      }
      guard line.epoch == world.hooks.epoch, let run = states[key] else {
        if line.epoch == world.hooks.epoch { complaints.append("\(what) is not in the ledger") }
        continue
      }
      if run.attempts[line.attempt] == nil { complaints.append("\(what) is not among the ledger's attempts") }
      if line.attempt > 1, let before = run.attempts[line.attempt - 1] {
        let mayRepeat =
          before == "interrupted" || (HookSet.isRetried(line.hook) && ["failed", "timed-out"].contains(before))
        if !mayRepeat { complaints.append("\(what) begins, although the attempt before is \(before)") }
      }
    }
    for run in runs where run.state == "succeeded" {
      let last = run.attempts.keys.max() ?? 0
      let isDone = (0...world.hooks.epoch).contains { ended.contains(Attempt(key: run.key, number: last, epoch: $0)) }
      if !isDone { complaints.append("run \(run.id) of \(run.hook) has succeeded, and its hook has not ended") }
    }
  }

  // MARK: Order

  /// The first attempts of one hook that waits for nothing begin in the order of the unit's events.
  private mutating func judgeOrder() {
    // What a replay that was killed has left is done when it is found.
    if has(.startReplay) && has(.killReplay, .endReplay, .killWriting, .reboot, .powerCut, .readError, .diskError) {
      return
    }
    var last: [String: (run: Int64, epoch: Int)] = [:]
    for line in world.hooks.lines where line.deed == .begin && line.attempt == 1 && line.hook == HookSet.all.name {
      let lane = "\(line.by.prefix { $0 != " " }) \(line.event.unit)"
      if let before = last[lane], before.epoch == line.epoch, before.run > line.run {
        complaints.append("run \(line.run) for \(line.event.unit) begins after run \(before.run)")
      }
      last[lane] = (line.run, line.epoch)
    }
  }

  // MARK: Turns

  /// What waits is superseded by the opposite turn of the unit, and by nothing else: the last turn has its run.
  private mutating func judgeTurns() {
    guard !has(.startReplay, .otherHooks) else { return }
    let turns = told.filter { $0.hook == HookSet.all.name && Judge.isUp($0.event) != nil }
    var last: [String: LedgerRun] = [:]
    for turn in turns { last[turn.event.unit] = turn }
    for run in told where ["superseded", "rate-limited"].contains(run.state) {
      guard last[run.event.unit]?.event.id == run.event.id else { continue }
      complaints.append("run \(run.id) of \(run.hook) for the last turn of \(run.event.unit) is \(run.state)")
    }
    // When it is known that a unit has turned back is certain only while nothing is held up.
    let isHeldUp = has(
      .stallJournald, .killJournald, .vacuum, .flush, .readError, .diskError, .diskFull, .diskLocked, .hookError)
    guard !isHeldUp, world.manager.boot.number == 1 else { return }
    var states: [Int64: LedgerRun] = [:]
    for run in told { states[run.id] = run }
    for line in world.hooks.lines where line.deed == .begin {
      guard let run = states[line.run], let isUp = Judge.isUp(run.event) else { continue }
      let isRetry = line.attempt > 1 && ["failed", "timed-out"].contains(run.attempts[line.attempt - 1])
      // It settles for two seconds. The bus tells a turn a second later than the journal.
      let end = isRetry ? Int(line.monotonic) - 1_500_000 : run.monotonic + 800_000
      guard isRetry || line.hook == "40-settle" && line.attempt == 1 else { continue }
      let back = turns.filter { $0.event.unit == run.event.unit && Judge.isUp($0.event) == !isUp }
      if back.contains(where: { $0.monotonic > run.monotonic && $0.monotonic < end }) {
        let what = "attempt \(line.attempt) of run \(line.run) of \(line.hook) for \(run.event.unit)"
        complaints.append("\(what) begins, although the unit has turned back")
      }
    }
  }

  /// Where an event leaves its unit; nil if it says nothing of that.
  private static func isUp(_ event: SeenEvent) -> Bool? {
    switch event.kind {
    case "started": true
    case "stopped", "failed", "gave-up": false
    default: nil
    }
  }

  // MARK: Replay

  /// A replay of everything finds nothing that was not done.
  private mutating func judgeReplay() {
    // The beginning of what is left may look different; and other hooks have not done everything.
    guard !has(.otherHooks, .vacuum), world.journald.lost.isEmpty, world.journald.late.isEmpty else { return }
    for line in world.hooks.lines where line.by == world.lastReplay && line.deed == .begin && line.attempt == 1 {
      complaints.append(
        "the replay of everything has done run \(line.run) of \(line.hook): \(line.event.unit) \(line.event.kind.rawValue)"
      )
    }
  }

  // MARK: Messages

  /// Each refusal is reported once, until it is over.
  private mutating func judgeMessages() {
    var open: Set<String> = []
    for message in world.messages {
      let process = message.prefix { $0 != ":" }
      if message.hasSuffix("Nothing more is read until it can be written.") {
        if !open.insert(String(process)).inserted { complaints.append("reported twice: \(message)") }
      } else if message.hasSuffix("The ledger can be written again.") {
        open.remove(String(process))
      }
    }
  }
}
