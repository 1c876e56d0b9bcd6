internal import Lifecycle
internal import SimulatedSystem

/// What must hold when a history is over. It knows the hooks, the machine's truth, what the hooks have done, and the ledger.
struct Judge {
  let world: World
  let history: History
  private let runs: [LedgerRun]
  private(set) var complaints: [String] = []

  init(_ world: World, _ history: History) {
    self.world = world
    self.history = history
    runs = world.ledgerRuns()
  }

  private func has(_ kinds: Step.Kind...) -> Bool { history.steps.contains { kinds.contains($0.kind) } }

  /// Everything that does not hold.
  static func complaints(about world: World, _ history: History) -> [String] {
    var judge = Judge(world, history)
    judge.complaints = world.faults + world.hooks.faults
    judge.judgeEvents()
    judge.judgeRuns()
    judge.judgeAttempts()
    judge.judgeOrder()
    judge.judgeMessages()
    return judge.complaints
  }

  // MARK: Events

  /// The events that journalhook has seen, in its order.
  private var seen: [SeenEvent] { runs.filter { $0.hook == HookSet.all.name }.map(\.event) }

  /// Nothing lost, nothing invented, restart pairs closed: the oracle knows what has really happened.
  private mutating func judgeEvents() {
    complaints += []  // ORACLE
  }

  // MARK: Runs

  /// Each hook has a run for each event that is for it, and for no other; and all have an end.
  private mutating func judgeRuns() {
    if !world.hooks.isEmpty { complaints.append("processes of hooks are left") }
    var byKey: [RunKey: LedgerRun] = [:]
    for run in runs {
      byKey[run.key] = run
      if !HookSet.mayEnd(run.hook, run.state, hasBooted: world.manager.boot.number > 1, areOthers: has(.otherHooks)) {
        complaints.append("run \(run.id) of \(run.hook) for \(run.event.unit) \(run.event.kind) is \(run.state) \(run.reason)")
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
      let what = "attempt \(line.attempt) of run \(line.run) of \(line.hook) for \(line.event.unit) \(line.event.kind.rawValue)"
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
        let mayRepeat = before == "interrupted" || (HookSet.isRetried(line.hook) && ["failed", "timed-out"].contains(before))
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
    var last: [String: (run: Int64, epoch: Int)] = [:]
    for line in world.hooks.lines where line.deed == .begin && line.attempt == 1 && line.hook == HookSet.all.name {
      if let before = last[line.event.unit], before.epoch == line.epoch, before.run > line.run {
        complaints.append("run \(line.run) for \(line.event.unit) begins after run \(before.run)")
      }
      last[line.event.unit] = (line.run, line.epoch)
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
