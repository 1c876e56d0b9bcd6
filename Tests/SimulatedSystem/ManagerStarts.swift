internal import Systemd

/// How units are started (unit_start() and what the types of units do).
extension SimulatedManager {
  func start(_ unit: SimulatedUnit) -> Attempt {
    if unit.active.isUp { return .already }
    if unit.has(.hasCondition), unit.active != .activating, numbers.isOne(in: 3) { return .skipped }
    addToBus(unit)
    switch unit.state {
    case .stop, .unmounting, .stopSigterm, .stopSigkill, .stopPost: return .again
    case .startPre, .start, .mounting: return .silent
    case .autoRestart:
      // Up to 253 it waits for the automatic restart. Later it makes it come at once.
      if machine.version.startsAgainByStartJob { restartAutomatically(unit) }
      return .again
    case .dead, .failed, .autoRestartQueued, .running, .exited, .active, .reload: break
    }
    if isTooOften(unit) {
      refuse(unit)
      return .over
    }
    begin(unit)
    switch unit.description.kind {
    case .simple, .notify, .oneshot:
      if unit.has(.hasStartPre) { startPre(unit) } else { startMain(unit) }
    case .socket, .timer, .target:
      setState(unit, .active)
      if unit.description.kind == .timer { elapse(unit) }
    case .mount:
      setState(unit, .mounting)
      later(unit, 500...20_000) { [unowned self] in
        if isUnlucky(unit) { endMount(unit, .exitCode) } else { setState(unit, .active) }
      }
    }
    return .begun
  }

  /// Whether it was started as often as its start limit allows (ratelimit.c).
  private func isTooOften(_ unit: SimulatedUnit) -> Bool {
    guard unit.description.kind.isService else { return false }
    let now = clock.monotonic
    let (limit, interval) = unit.description.startLimit
    if unit.restarts.starts.count == 0 || unit.restarts.starts.since + interval < now {
      unit.restarts.starts = (1, now)
      return false
    }
    guard unit.restarts.starts.count < limit else { return true }
    unit.restarts.starts.count += 1
    return false
  }

  private func refuse(_ unit: SimulatedUnit) {
    note(.startRefused, unit, told: say(.startLimit, unit))
    unit.truth.isAutoPending = false
    if unit.result == .success { unit.result = .startLimitHit }
    let message = sayFailure(unit)
    setState(unit, .failed, told: message, isRefusal: true)
    unit.restarts.isCountOver = true
  }

  /// A new invocation begins.
  func begin(_ unit: SimulatedUnit) {
    unit.invocation = numbers.id()
    unit.words.invocation = [.init("INVOCATION_ID", unit.invocation ?? "")]
    unit.result = .success
    unit.process = SimulatedUnit.Process()
    unit.restarts.areForbidden = false
    if unit.restarts.isCountOver { (unit.restarts.count, unit.restarts.isCountOver) = (0, false) }
    if unit.truth.restartJob == nil {
      unit.truth.restartFlag = false
      if !unit.truth.isAutoPending {
        unit.truth.wasStartedByHand = true
        unit.truth.wasRestartedByHand = unit.job?.hasStopped == true
      }
    }
    unit.truth.isEndedByJob = false
    unit.truth.isStopLogged = false
    unit.truth.isAdrift = false
    unit.truth.openStart = note(.startBegan, unit)
  }

  func isUnlucky(_ unit: SimulatedUnit) -> Bool { numbers.isOne(in: unit.has(.isFragile) ? 3 : 12) }

  // MARK: Services

  private func startPre(_ unit: SimulatedUnit) {
    setState(unit, .startPre)
    later(unit, 500...20_000) { [unowned self] in
      if isUnlucky(unit) {
        sayExit(unit, of: "Control process", code: "exited", status: "1/FAILURE", number: 1)
        unit.result = .exitCode
        endSignal(unit)
      } else {
        startMain(unit)
      }
    }
  }

  private func startMain(_ unit: SimulatedUnit) {
    unit.process = SimulatedUnit.Process(isAlive: true, start: tick().monotonic)
    switch unit.description.kind {
    case .simple: setState(unit, .running)
    case .oneshot:
      setState(unit, .start)
      later(unit, 500...300_000) { [unowned self] in mainExits(unit, status: isUnlucky(unit) ? 1 : 0) }
    default:
      setState(unit, .start)
      later(unit, 500...300_000) { [unowned self] in
        guard isUnlucky(unit) else { return setState(unit, .running) }
        switch numbers.below(3) {
        case 0: mainExits(unit, status: 1)
        case 1: mainExits(unit, status: 0)
        default: timeOutStart(unit)
        }
      }
    }
    if unit.description.kind == .simple, isUnlucky(unit) {
      later(unit, 100...200_000) { [unowned self] in mainExits(unit, status: Int32(numbers.below(2))) }
    }
  }

  private func timeOutStart(_ unit: SimulatedUnit) {
    say(.startTimeout, unit)
    unit.result = .timeout
    endSignal(unit)
  }

  // MARK: Automatic restarts

  /// `RestartSec=` is over (service_enter_restart()).
  func restartAutomatically(_ unit: SimulatedUnit) {
    guard unit.state == .autoRestart else { return }
    if unit.job?.kind == .stop {
      if !machine.version.startsAgainByStartJob { waitForRestart(unit) }
      return
    }
    if unit.job != nil { unit.truth.isAutoShared = true }
    unit.truth.isAutoPending = true
    if machine.version.startsAgainByStartJob {
      propagate(.restart, from: unit)
      enqueue(.start, unit, isAutomatic: true)
    } else {
      enqueue(.restart, unit, isAutomatic: true)
    }
    unit.restarts.count += 1
    unit.restarts.isCountOver = false
    if machine.version.startsAgainByStartJob { setState(unit, .autoRestartQueued) }
    let count = unit.restarts.count
    let text = "\(unit.name): Scheduled restart job, restart counter is at \(count)."
    let message = say(.restartScheduled, unit, [.init("MESSAGE", text), .init("N_RESTARTS", String(count))])
    note(.restartScheduled, unit, told: message)
    addToBus(unit)
  }

  func waitForRestart(_ unit: SimulatedUnit) {
    let delay = unit.description.restartDelay
    later(unit, delay...delay) { [unowned self] in restartAutomatically(unit) }
  }

  /// A timer starts its unit from time to time.
  private func elapse(_ timer: SimulatedUnit) {
    later(timer, 1_000_000...30_000_000) { [unowned self] in
      guard let unit = timer.description.starts.flatMap(unit), !boot.isGoingDown else { return }
      enqueue(.start, unit)
      elapse(timer)
    }
  }
}
