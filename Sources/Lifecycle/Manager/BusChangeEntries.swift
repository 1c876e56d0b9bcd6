internal import Systemd

/// What one change on the bus says: a unit is up, or it is down.
struct BusChangeEntries: Sendable {
  let unit: String
  let manager: Manager
  let isUp: Bool
  /// When it came up or went down, in microseconds since boot.
  let time: UInt64
  /// The same as wall-clock time, in microseconds since 1970.
  var realtime: UInt64 = 0
  private let change: UnitChange
  /// Whether its processes were asked to end before.
  private let wasStopped: Bool
  /// No job was there that could have changed it.
  let isByItself: Bool
  /// The job that has taken it down to bring it up again.
  var restartJob: UInt32?

  var invocation: String? { change.invocation }

  /// Nil for states on the way to another.
  init?(
    _ change: UnitChange, manager: Manager, wasStopped: Bool = false, isByItself: Bool = false,
    restartJob: UInt32? = nil
  ) {
    switch change.activeState {
    case "active", "reloading", "refreshing": isUp = true
    case "inactive", "failed": isUp = false
    // A unit that waits for its automatic restart is down; up to systemd 253 it is seen as nothing else (service.c,
    // service_enter_dead()).
    case "activating" where change.subState.hasPrefix("auto-restart"): isUp = false
    default: return nil
    }
    self.change = change
    self.manager = manager
    self.wasStopped = wasStopped
    self.isByItself = isByItself
    self.restartJob = restartJob
    unit = change.unit
    time = isUp ? change.activeEnter : change.inactiveEnter
  }

  /// Whether another one says the same of the same moment.
  func isSame(as other: BusChangeEntries) -> Bool {
    isSameInvocation(as: other) && isUp == other.isUp && time == other.time
  }

  func isSameInvocation(as other: BusChangeEntries) -> Bool {
    unit == other.unit && manager == other.manager && invocation == other.invocation
  }

  /// The entries between what is known of the unit and this.
  ///
  /// - Parameter since: when following began, in microseconds since boot: what was before is no news.
  func missing(
    from state: UnitState?, since: UInt64, machine: String, boot: String, hostname: String?
  ) -> [ManagerEntry] {
    if let state, hasTold(state) { return [] }
    let steps = isUp ? comingUp(state) : goingDown(state, since)
    return steps.map { step in
      var entry = entry(step.kind, machine: machine, boot: boot, hostname: hostname)
      entry.realtime &-= time &- min(step.time, time)
      entry.monotonic = step.time
      entry.invocation = step.invocation ?? invocation
      step.fill(&entry)
      return entry
    }
  }

  /// What the manager might have logged of it.
  func entry(_ kind: ManagerEntry.Kind, machine: String, boot: String, hostname: String?) -> ManagerEntry {
    ManagerEntry(
      kind: kind, unit: unit, manager: manager, machine: machine, hostname: hostname, boot: boot, realtime: realtime,
      monotonic: time, cursor: "", invocation: invocation,
      message: "Seen on the bus: \(unit) is \(change.activeState).", source: .bus)
  }

  /// Whether the unit is down and was not up since it was started.
  var wasNeverUp: Bool { !isUp && change.activeState != "activating" && change.activeEnter < change.inactiveExit }

  /// Whether what is known of the unit contains this already, or goes beyond it.
  private func hasTold(_ state: UnitState) -> Bool {
    if let invocation, state.previousInvocations.contains(invocation) { return true }
    guard let invocation, state.invocation == invocation else { return state.lastSeen > time }
    switch state.phase {
    case .up: return isUp
    case .down: return true
    // It is about to come up: it was down before that.
    case .starting, .unknown: return !isUp && state.lastSeen > time
    }
  }

  private struct Step {
    var kind: ManagerEntry.Kind
    var time: UInt64
    /// Another one than the change's.
    var invocation: String?
    var fill: (inout ManagerEntry) -> Void = { _ in }
  }

  private func comingUp(_ state: UnitState?) -> [Step] {
    if let steps = restartAtOnce(state) { return steps }
    return restart(state, at: time) + [
      Step(kind: .started, time: time) { entry in
        // The second half of a restart whose first half was emitted.
        if let job = state?.restart.job { entry.job = .init(id: job, type: "start", result: "done") }
      }
    ]
  }

  /// A restart job has taken the unit down and brought it up, and one change shows both: the unit has no process to wait for.
  private func restartAtOnce(_ state: UnitState?) -> [Step]? {
    guard let restartJob, let state, state.phase == .up, let last = state.invocation, last != invocation,
      change.inactiveEnter >= state.lastUp, change.activeEnter >= change.inactiveEnter
    else { return nil }
    let down = change.inactiveEnter
    return [
      Step(kind: .stopping, time: down, invocation: last) { $0.job = .init(id: restartJob, type: "stop") },
      Step(kind: .stopped, time: down, invocation: last) {
        $0.job = .init(id: restartJob, type: "restart", result: "done")
      },
      Step(kind: .started, time: time) { $0.job = .init(id: restartJob, type: "start", result: "done") },
    ]
  }

  /// The automatic restart that this invocation began with, if it did.
  private func restart(_ state: UnitState?, at time: UInt64) -> [Step] {
    let details = change.details
    // Each start by a job resets the counter.
    guard details.nRestarts > 0, let state, !state.restart.isAutomatic, let last = state.invocation, last != invocation
    else {
      return []
    }
    return [Step(kind: .restartScheduled, time: time, invocation: last) { $0.nRestarts = details.nRestarts }]
  }

  private func goingDown(_ state: UnitState?, _ since: UInt64) -> [Step] {
    // The manager reports a state a moment later, and may name the invocation that is about to begin. What was up before
    // the last entry of the unit is the invocation of that entry.
    let isOfTold = state.map { $0.invocation != invocation && change.activeEnter <= $0.lastSeen } ?? false
    if isOfTold, state?.phase != .up {
      return state?.lastSeen ?? 0 <= change.inactiveExit ? withoutComingUp(state, since) : []
    }
    let isTracked = state?.phase == .up && (isOfTold || state?.invocation == invocation)
    // Never up in this time: what was skipped is no news. While a unit waits for its restart, `inactiveExit` is the begin of
    // waiting; then only earlier entries and its main process show whether it was up this time.
    let isThisTime =
      change.activeState == "activating"
      ? failedStart == nil && state?.lastSeen ?? 0 < change.activeEnter : change.activeEnter >= change.inactiveExit
    let wasUp = change.activeExit > since && change.activeExit >= change.activeEnter && isThisTime
    guard isTracked || wasUp else { return withoutComingUp(state, since) }
    var steps: [Step] = []
    if !isTracked, change.activeEnter > since { steps += startBefore(state) }
    if state?.exit?.code == nil || !isTracked { steps += mainProcessExit() }
    if let failure {
      steps.append(failure)
    } else if let restartJob {
      steps.append(
        Step(kind: .stopped, time: time) { $0.job = .init(id: restartJob, type: "restart", result: "done") })
    } else {
      steps.append(Step(kind: .success, time: time))
    }
    if isOfTold { for index in steps.indices { steps[index].invocation = state?.invocation } }
    return steps
  }

  private func mainProcessExit() -> [Step] {
    guard let code = exitCode else { return [] }
    return [
      Step(kind: .mainProcessExit, time: time) {
        $0.exitCode = code
        $0.exitStatus = String(change.details.exitStatus)
      }
    ]
  }

  private var failure: Step? {
    let result = change.details.result ?? "success"
    guard result != "success" || change.activeState == "failed" else { return nil }
    return Step(kind: .failureResult, time: time) { $0.result = result == "success" ? "failed" : result }
  }

  /// The end of an invocation that was never up: of a oneshot, or of a start that failed.
  private func withoutComingUp(_ state: UnitState?, _ since: UInt64) -> [Step] {
    if hasFinished(since) {
      return [
        Step(kind: .starting, time: change.inactiveExit), Step(kind: .success, time: time),
        Step(kind: .started, time: time),
      ]
    }
    // Hidden only by `LogLevelMax=crit` and less. One that was skipped (ExecCondition=) is inactive, with another result.
    guard change.activeState != "inactive", let failure, let begin = failedStart, begin > since else { return [] }
    let end = change.details.mainStart > begin ? mainProcessExit() : []
    return restart(state, at: begin) + [Step(kind: .starting, time: begin)] + end + [failure]
  }

  /// When a start began that did not bring the unit up; nil if that is not certain.
  private var failedStart: UInt64? {
    if wasNeverUp { return change.inactiveExit }
    // While a unit waits for its restart, only its main process shows it.
    let details = change.details
    return change.activeState == "activating" && details.mainStart > change.activeEnter ? details.mainStart : nil
  }

  /// Whether it was a oneshot, which ran to its end. Services of other types that end well while they start have failed
  /// (result `protocol`), or were stopped, which `BusWitness` knows.
  private func hasFinished(_ since: UInt64) -> Bool {
    wasNeverUp && change.inactiveExit > since && change.activeState == "inactive" && !wasStopped
      && change.details.result == "success" && exitCode == "exited"
      && change.details.mainStart > since
      && change.details.mainStart &+ BusChangeEntries.spawnTime >= change.inactiveExit
  }

  /// The main process is started a moment before the manager counts the unit as starting; in microseconds.
  private static let spawnTime: UInt64 = 100_000

  /// The start that the manager did not report by itself, because the end came too soon.
  private func startBefore(_ state: UnitState?) -> [Step] {
    guard state?.lastSeen ?? 0 <= change.activeEnter else { return [] }
    return comingUp(state).map { step in
      var step = step
      step.time = change.activeEnter
      return step
    }
  }

  private var exitCode: String? {
    switch change.details.exitCode {
    case 1: "exited"
    case 2: "killed"
    case 3: "dumped"
    default: nil
    }
  }
}
