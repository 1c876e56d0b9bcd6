package import Systemd

/// What lies between what the tracker knows of a unit and the state that the live manager reports (`reconciled` events).
package enum UnitComparison {
  /// Something that happened and gave no event.
  package struct Step: Sendable, Equatable {
    package var kind: ManagerEntry.Kind
    package var invocation: String?
    package var time: UnitStatus.Moment
    /// systemd's result, of a failure.
    package var result: String?
  }

  package enum Verdict: Sendable, Equatable {
    /// Nothing was missed.
    case agrees
    /// Nothing was known of the unit: this is where it is, and no news.
    case adopt(UnitState)
    case missing([Step], andMoreToCome: Bool = false)
    /// The unit is on its way, or the journal shows it just now: it has to be looked at again.
    case undecided
  }

  /// Compares.
  ///
  /// - Parameters:
  ///   - state: what the tracker knows, of this boot; nil if nothing.
  ///   - asked: when the manager was asked.
  ///   - limit: the last moment at which something can have happened unnoticed: what the manager has no time of
  ///     happened then or before.
  package static func verdict(
    _ state: UnitState?, _ live: UnitStatus, asked: UnitStatus.Moment, limit: UnitStatus.Moment
  ) -> Verdict {
    guard let state, state.phase != .unknown || state.isWaiting else { return adopt(state, live) }
    // Told since: what the manager has said then may be over.
    if state.isWaiting || state.lastSeen > asked.monotonic { return .undecided }
    switch live.activeState {
    case "active", "reloading", "refreshing": return whenUp(state, live, limit)
    case "inactive", "failed", "maintenance": return whenDown(state, live, limit)
    default: return onTheWay(state, live, limit)
    }
  }

  private static func adopt(_ old: UnitState?, _ live: UnitStatus) -> Verdict {
    var state = old ?? UnitState()
    // Of a unit that never ran, or that the manager has unloaded, the next invocation is another in any case.
    let invocation = live.invocation ?? UnitState.noInvocation
    if state.invocation != invocation { state.begin(invocation) }
    switch live.activeState {
    case "active", "reloading", "refreshing":
      state.phase = .up
      state.lastSeen = max(state.lastSeen, live.activeEnter.monotonic)
      if live.invocation == nil { state.invocation = nil }
    case "inactive", "failed", "maintenance":
      state.phase = .down
      state.lastSeen = max(state.lastSeen, live.inactiveEnter.monotonic)
    default: return .undecided
    }
    return .adopt(state)
  }

  private static func whenUp(_ state: UnitState, _ live: UnitStatus, _ limit: UnitStatus.Moment) -> Verdict {
    // Without invocations (before systemd 232, and for devices) only the time shows whether it is the same run of the unit.
    let isSame =
      if let known = state.invocation, let invocation = live.invocation {
        known == invocation
      } else {
        live.activeEnter.monotonic <= state.lastSeen
      }
    let started = Step(kind: .started, invocation: live.invocation, time: known(live.activeEnter, limit))
    switch state.phase {
    case .up where isSame, .down where isSame: return .agrees
    case .up: return .missing([ended(state, live, by: earlier(known(live.activeEnter, limit), limit)), started])
    case .starting, .down, .unknown: return .missing([started])
    }
  }

  private static func whenDown(_ state: UnitState, _ live: UnitStatus, _ limit: UnitStatus.Moment) -> Verdict {
    let time = known(live.inactiveEnter, limit)
    let wasUp =
      live.activeEnter.monotonic > state.lastSeen && live.activeExit.monotonic >= live.activeEnter.monotonic
    guard let invocation = live.invocation, invocation != state.invocation else {
      // The same invocation, or the manager has forgotten it.
      switch state.phase {
      case .up: return .missing([ended(state, live, by: time)])
      case .starting where wasUp && live.invocation != nil:
        return .missing([
          Step(kind: .started, invocation: live.invocation, time: live.activeEnter), ended(state, live, by: time),
        ])
      case .starting where live.activeState == "failed":
        return .missing([Step(kind: .startFailed, invocation: state.invocation, time: time, result: result(of: live))])
      case .starting:
        // A oneshot has run, or the start was called off.
        var state = state
        state.phase = .down
        return .adopt(state)
      case .down, .unknown: return .agrees
      }
    }
    var steps: [Step] = []
    if state.phase == .up { steps.append(ended(state, nil, by: earlier(wasUp ? live.activeEnter : time, limit))) }
    if wasUp {
      steps.append(Step(kind: .started, invocation: invocation, time: live.activeEnter))
      steps.append(end(of: invocation, live, at: time))
    } else if live.activeState == "failed" {
      steps.append(Step(kind: .startFailed, invocation: invocation, time: time, result: result(of: live)))
    }
    return steps.isEmpty ? adopt(state, live) : .missing(steps)
  }

  private static func onTheWay(_ state: UnitState, _ live: UnitStatus, _ limit: UnitStatus.Moment) -> Verdict {
    guard state.phase == .up, let invocation = live.invocation else { return .undecided }
    let isOver =
      invocation != state.invocation
      // It waits for its automatic restart.
      || (live.activeState == "activating" && live.activeExit.monotonic >= live.activeEnter.monotonic
        && live.activeExit.monotonic > 0)
    guard isOver else { return .undecided }
    // While it waits for its restart the manager still has the result of what has ended.
    let isOfEnd = invocation == state.invocation && (live.result ?? "success") != "success" && live.result != ""
    var end = ended(state, nil, by: earlier(known(live.activeExit, limit), limit))
    if isOfEnd { (end.kind, end.result) = (.failureResult, live.result) }
    return .missing([end], andMoreToCome: true)
  }

  // MARK: Steps

  /// The end of what the tracker has as up.
  private static func ended(_ state: UnitState, _ live: UnitStatus?, by time: UnitStatus.Moment) -> Step {
    let isFailure = live?.activeState == "failed"
    return Step(
      kind: isFailure ? .failureResult : .success, invocation: state.invocation, time: time,
      result: isFailure ? live.map(result) : nil)
  }

  private static func end(of invocation: String?, _ live: UnitStatus, at time: UnitStatus.Moment) -> Step {
    let isFailure = live.activeState == "failed"
    return Step(
      kind: isFailure ? .failureResult : .success, invocation: invocation, time: time,
      result: isFailure ? result(of: live) : nil)
  }

  private static func result(of live: UnitStatus) -> String {
    live.result.flatMap { $0.isEmpty || $0 == "success" ? nil : $0 } ?? "failed"
  }

  private static func known(_ moment: UnitStatus.Moment, _ limit: UnitStatus.Moment) -> UnitStatus.Moment {
    moment.monotonic > 0 ? moment : limit
  }

  private static func earlier(_ one: UnitStatus.Moment, _ other: UnitStatus.Moment) -> UnitStatus.Moment {
    one.monotonic < other.monotonic ? one : other
  }
}

extension UnitState {
  /// Stands for the invocation of a unit that has none: it never ran, or the manager has unloaded it since.
  package static let noInvocation = String(repeating: "0", count: 32)
}
