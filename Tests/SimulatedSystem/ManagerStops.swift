internal import Systemd

/// How units end, by a job or by themselves.
extension SimulatedManager {
  func stop(_ unit: SimulatedUnit) -> Attempt {
    if unit.active.isDown { return .already }
    addToBus(unit)
    if unit.description.kind.isService { unit.restarts.areForbidden = true }
    switch unit.state {
    case .stop, .unmounting, .stopSigterm, .stopSigkill, .stopPost: return .silent
    case .autoRestart, .autoRestartQueued:
      unit.truth.isAutoPending = unit.truth.isAutoPending && unit.job?.kind == .restart
      if unit.job?.isAutomatic == false {
        unit.truth.wasRestartedByHand = true
        // And so is whether it has taken the unit down.
        if let down = facts.lastIndex(where: { $0.unit == unit.name && $0.kind == .wentDown && $0.boot == boot.id }) {
          facts[down].restartJob = nil
        }
        if unit.truth.isAutoPending { unit.truth.isAutoShared = true }
      }
      setState(unit, unit.result == .success ? .dead : .failed, isRefusal: true)
      return .silent
    case .startPre, .start, .reload:
      unit.truth.isEndedByJob = true
      endSignal(unit)
      return .silent
    case .mounting:
      unit.truth.isEndedByJob = true
      unmount(unit)
      return .silent
    case .running, .exited, .active, .dead, .failed: break
    }
    unit.truth.isEndedByJob = true
    unit.truth.openStop = note(.stopBegan, unit)
    switch unit.description.kind {
    case .simple, .notify, .oneshot: endService(unit)
    case .socket, .timer, .target: endWithoutProcess(unit)
    case .mount: unmount(unit)
    }
    return .begun
  }

  func reload(_ unit: SimulatedUnit) -> Attempt {
    guard unit.state != .reload else { return .again }
    guard unit.active == .active else {
      // Nothing is logged of a reload of what is not active.
      if let job = unit.job { finish(job, .canceled) }
      return .over
    }
    unit.restarts.isReloadGood = true
    setState(unit, .reload)
    later(unit, 500...50_000) { [unowned self] in
      unit.restarts.isReloadGood = !isUnlucky(unit)
      if !unit.restarts.isReloadGood {
        sayExit(unit, of: "Control process", code: "exited", status: "1/FAILURE", number: 1)
      }
      if unit.process.isAlive || unit.has(.remainsAfterExit) {
        setState(unit, unit.process.isAlive ? .running : .exited)
      } else {
        endService(unit)
      }
    }
    return .begun
  }

  // MARK: Units without a process

  func endWithoutProcess(_ unit: SimulatedUnit) {
    let message = unit.description.kind == .target ? nil : say(.success, unit)
    setState(unit, .dead, told: message)
  }

  private func unmount(_ unit: SimulatedUnit) {
    setState(unit, .unmounting)
    later(unit, 500...20_000) { [unowned self] in endMount(unit, .success) }
  }

  func endMount(_ unit: SimulatedUnit, _ result: SimulatedUnit.Result) {
    if unit.result == .success { unit.result = result }
    let message = unit.result == .success ? say(.success, unit) : sayFailure(unit)
    setState(unit, unit.result == .success ? .dead : .failed, told: message)
  }

  // MARK: Services

  /// The main process has ended by itself, with an exit status.
  func mainExits(_ unit: SimulatedUnit, status: Int32) {
    unit.process.code = 1
    unit.process.status = status
    mainEnded(unit, status == 0 ? .success : .exitCode)
  }

  /// The main process was killed by a signal.
  func mainIsKilled(_ unit: SimulatedUnit, by signal: Int32, because result: SimulatedUnit.Result = .signal) {
    unit.process.code = 2
    unit.process.status = signal
    // SIGTERM is a clean end of all but oneshots.
    let isClean = signal == 15 && unit.description.kind != .oneshot
    mainEnded(unit, isClean ? .success : result)
  }

  /// service_sigchld_event().
  private func mainEnded(_ unit: SimulatedUnit, _ result: SimulatedUnit.Result) {
    guard unit.process.isAlive else { return }
    unit.process.isAlive = false
    if result != .success {
      let isKill = unit.process.code == 2
      sayExit(
        unit, of: "Main process", code: isKill ? "killed" : "exited",
        status: isKill ? (unit.process.status == 9 ? "9/KILL" : "15/TERM") : "1/FAILURE",
        number: unit.process.status)
    }
    if unit.result == .success { unit.result = result }
    addToBus(unit)
    switch unit.state {
    case .start where unit.description.kind == .oneshot && result == .success:
      if unit.has(.remainsAfterExit) { setState(unit, .exited) } else { endService(unit) }
    case .start:
      if unit.result == .success { unit.result = .protocolError }
      endSignal(unit)
    case .running: endService(unit)
    case .stopSigterm, .stopSigkill: endPost(unit)
    default: break  // Something else runs, and its end decides.
    }
  }

  /// service_enter_stop().
  func endService(_ unit: SimulatedUnit) {
    guard unit.has(.hasStop) else { return endSignal(unit) }
    setState(unit, .stop)
    later(unit, 500...20_000) { [unowned self] in endSignal(unit) }
  }

  /// service_enter_signal(): asks what runs to end.
  func endSignal(_ unit: SimulatedUnit) {
    guard unit.process.isAlive else { return endPost(unit) }
    setState(unit, .stopSigterm)
    if unit.has(.isStubborn), numbers.isOne(in: 2) {
      later(unit, 500_000...500_000) { [unowned self] in
        say(.stopTimeout, unit)
        if unit.result == .success { unit.result = .timeout }
        setState(unit, .stopSigkill)
        later(unit, 100...5000) { [unowned self] in mainIsKilled(unit, by: 9) }
      }
    } else {
      later(unit, 200...100_000) { [unowned self] in
        switch numbers.below(12) {
        case 0...4: mainIsKilled(unit, by: 15)
        case 5: mainExits(unit, status: 1)
        default: mainExits(unit, status: 0)
        }
      }
    }
  }

  /// service_enter_stop_post().
  private func endPost(_ unit: SimulatedUnit) {
    guard unit.has(.hasStopPost) else { return die(unit) }
    setState(unit, .stopPost)
    later(unit, 500...20_000) { [unowned self] in die(unit) }
  }

  /// service_enter_dead().
  private func die(_ unit: SimulatedUnit) {
    let isGood = unit.result == .success
    let message = isGood ? say(.success, unit) : sayFailure(unit)
    let isWanted =
      switch unit.description.restart {
      case .no: false
      case .onFailure: !isGood
      case .always: true
      }
    let isRestarted = isWanted && !unit.restarts.areForbidden && !boot.isGoingDown
    setState(unit, isGood ? .dead : .failed, told: message)
    if isRestarted {
      setState(unit, .autoRestart)
      waitForRestart(unit)
    } else {
      unit.restarts.isCountOver = true
    }
  }

  // MARK: Messages

  func sayFailure(_ unit: SimulatedUnit) -> Int? {
    let result = unit.result.rawValue
    let text = JournalEntry.Field("MESSAGE", "\(unit.name): Failed with result '\(result)'.")
    return say(.failureResult, unit, [text, .init("UNIT_RESULT", result)])
  }

  func sayExit(_ unit: SimulatedUnit, of process: String, code: String, status: String, number: Int32) {
    say(
      .processExit, unit,
      [
        .init("MESSAGE", "\(unit.name): \(process) exited, code=\(code), status=\(status)"),
        .init("EXIT_CODE", code), .init("EXIT_STATUS", String(number)),
      ])
  }
}
