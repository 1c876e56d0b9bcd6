/// Judges what was told of one unit in one boot.
struct LifeJudge {
  private let life: Oracle.Life
  private let lost: Oracle.Lost
  private var expected: [Expectation] = []
  private var complaints: [String] = []
  /// Invocations of which, or of whose neighbours, messages were lost or are hidden.
  private var dim: Set<String> = []

  private let isOrdered: Bool

  init(_ life: Oracle.Life, lost: Oracle.Lost, isOrdered: Bool) {
    self.isOrdered = isOrdered
    self.life = life
    self.lost = lost
  }

  mutating func judge() -> [String] {
    findDim()
    for index in life.facts.indices { expect(life.facts[index], rank: index) }
    match()
    for one in expected where one.isRequired && !one.isSeen {
      complain("missing: \(life.unit) \(one.kind) \(one.invocation?.prefix(6) ?? "")")
    }
    checkPairs()
    return complaints
  }

  private mutating func complain(_ text: String) { complaints.append("\(text) (boot \(life.boot.prefix(4)))") }

  // MARK: What is expected

  /// Next to what was lost, and where `LogLevelMax=` hides messages, nobody can know all.
  private mutating func findDim() {
    var order: [String] = []
    for fact in life.facts {
      if let invocation = fact.invocation, order.last != invocation { order.append(invocation) }
    }
    for (index, invocation) in order.enumerated()
    where lost.invocations.contains("\(life.unit) \(invocation)") {
      dim.formUnion(order[max(index - 1, 0)...min(index + 1, order.count - 1)])
    }
  }

  private func isDim(_ invocation: String?) -> Bool { invocation.map { dim.contains($0) } ?? !dim.isEmpty }

  private func isTold(_ fact: TrueFact) -> Bool { fact.messages.contains { !lost.messages.contains($0) } }

  private mutating func expect(_ fact: TrueFact, rank: Int) {
    guard let kind = fact.kind.event else { return }
    var one = Expectation(kind: kind, invocation: fact.invocation, rank: rank)
    one.isRequired = isTold(fact) && !isDim(fact.invocation)
    switch fact.kind {
    case .cameUp:
      one.restartJob = fact.restartJob
      one.autoRestart = fact.autoRestart
    case .wentDown:
      one.restartJob = fact.restartJob
      // If the journal does not tell that it was up, its end may look like that of a start that came to nothing.
      let start = life.facts[..<rank].last { $0.kind == .cameUp && $0.invocation == fact.invocation }
      one.isRequired = one.isRequired && start.map(isTold) ?? false
      let isStopped = life.facts[..<rank].contains { $0.kind == .stopBegan && $0.invocation == fact.invocation }
      one.mayFollowFailure = isStopped || fact.messages.count > 1
    case .restartBroken:
      one.isRestartFailed = true
      // It is told of what went down and did not come back.
      let down = life.facts[..<rank].last { $0.kind == .wentDown }
      one.invocation = down?.invocation ?? fact.invocation
      one.isRequired = one.isRequired && !isDim(one.invocation) && down.map(isTold) ?? true
      one.restartJob = false
      one.isRequired = one.isRequired && fact.restartJob == true
    case .startRefused, .startSkipped: one.isOfAnyInvocation = true
    default: break
    }
    if isDim(fact.invocation) || !isTold(fact) { (one.restartJob, one.autoRestart) = (nil, nil) }
    expected.append(one)
    if fact.kind == .ranToEnd, isDim(fact.invocation) {
      // Without its beginning, the end of a oneshot looks like the end of a unit that was active.
      var stopped = one
      stopped.kind = "stopped"
      stopped.isRequired = false
      expected.append(stopped)
    }
    guard fact.kind == .cameUp, fact.isRestarted != false || isDim(fact.invocation) else { return }
    var restarted = one
    restarted.kind = "restarted"
    restarted.isRequired = one.isRequired && fact.isRestarted == true
    expected.append(restarted)
  }

  // MARK: What was told

  private mutating func match() {
    var newest: Expectation?
    for event in life.events {
      guard let place = expected.firstIndex(where: { !$0.isSeen && $0.matches(event) }) else {
        // The bus tells states, not what has led to them: next to what journald stores late, it may name the wrong invocation.
        if event.source == "bus", isDim(event.invocation) { continue }
        complain("never happened, or told before: \(event.text)")
        continue
      }
      expected[place].isSeen = true
      let one = expected[place]
      if let wanted = one.restartJob, event.restartJob != nil, event.restartJob != wanted {
        complain("restart_job is wrong: \(event.text)")
      }
      if let wanted = one.autoRestart, event.autoRestart != nil, event.autoRestart != wanted {
        complain("auto_restart is wrong: \(event.text)")
      }
      checkFlags(of: event)
      // When a restart is known to have failed is another matter: see `checkPairs`.
      if one.isRestartFailed { continue }
      if isOrdered, let last = newest, one.rank < last.rank, !(one.mayFollowFailure && last.kind == "failed") {
        complain("too late: \(event.text), behind \(last.kind)")
      } else {
        newest = one
      }
    }
  }

  private mutating func checkFlags(of event: SeenEvent) {
    let hasRestart = ["stopped", "started", "restarted"].contains(event.kind)
    if hasRestart != (event.restartJob != nil) { complain("restart_job where there is none, or none: \(event.text)") }
    let hasAuto = ["started", "restarted"].contains(event.kind)
    if hasAuto != (event.autoRestart != nil) { complain("auto_restart where there is none, or none: \(event.text)") }
  }

  /// Hooks with `RestartJob=no` on both ends have to come in pairs: what goes down by a restart comes up by it, or is told to have
  /// gone down for good.
  private mutating func checkPairs() {
    var isOpen = false
    var last: SeenEvent?
    for event in life.events {
      switch (event.kind, event.source) {
      case ("stopped", "restart-failed"):
        if !isOpen { complain("a restart has failed that was none: \(event.text)") }
        isOpen = false
      case ("stopped", _):
        if isOpen { complain("goes down while a restart is open: \(event.text)") }
        isOpen = event.restartJob == true
      case ("started", _):
        if event.restartJob != isOpen { complain("does not agree with the stop before it: \(event.text)") }
        isOpen = false
      case ("restarted", _):
        let isRight =
          last?.kind == "started" && last?.invocation == event.invocation && last?.restartJob == event.restartJob
          && last?.autoRestart == event.autoRestart
        if !isRight { complain("is not right behind its start: \(event.text)") }
      default: break
      }
      last = event
    }
    if isOpen, life.isOver { complain("a restart is left open: \(life.unit)") }
  }
}

/// An event that must come, or may.
struct Expectation {
  var kind: String
  var invocation: String?
  /// Its place among the others.
  var rank: Int
  var isRequired = false
  var isSeen = false
  /// Nil: either will do.
  var restartJob: Bool?
  var autoRestart: Bool?
  /// It is the second `stopped` of a restart.
  var isRestartFailed = false
  /// systemd names an invocation that has nothing to do with it.
  var isOfAnyInvocation = false
  /// While a job stops the unit, its failure is known before it is known whether the job is a restart.
  var mayFollowFailure = false

  init(kind: String, invocation: String?, rank: Int) {
    self.kind = kind
    self.invocation = invocation
    self.rank = rank
  }

  func matches(_ event: SeenEvent) -> Bool {
    event.kind == kind && (isOfAnyInvocation || event.invocation == invocation)
      && isRestartFailed == (event.source == "restart-failed")
  }
}

extension TrueFact.Kind {
  /// The event that tells it; nil if none does.
  fileprivate var event: String? {
    switch self {
    case .booted: nil
    case .startBegan: "starting"
    case .cameUp: "started"
    case .ranToEnd: "finished"
    case .stopBegan: "stopping"
    case .wentDown, .restartBroken: "stopped"
    case .failed, .dependencyFailed: "failed"
    case .startRefused: "gave-up"
    case .restartScheduled: "restarting"
    case .reloadBegan: "reloading"
    case .reloadDone: "reloaded"
    case .reloadFailed: "reload-failed"
    case .startSkipped: "skipped"
    case .outOfMemory: "oom"
    }
  }
}
