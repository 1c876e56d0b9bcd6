/// What a change of a unit's state leads to (unit.c, unit_notify()).
extension SimulatedManager {
  /// The unit is in another state.
  ///
  /// - Parameters:
  ///   - told: the message that has announced it.
  ///   - isRefusal: whether it has failed only in that the manager will not start it.
  func setState(
    _ unit: SimulatedUnit, _ state: SimulatedUnit.State, told message: Int? = nil, isRefusal: Bool = false
  ) {
    let (old, new) = (unit.active, state.active)
    unit.state = state
    unit.phase += 1
    addToBus(unit)
    let now = tick()
    if old.isDown, !new.isDown { unit.times.inactiveExit = now }
    if !old.isDown, new.isDown { unit.times.inactiveEnter = now }
    if !old.isUp, new.isUp { unit.times.activeEnter = now }
    if old.isUp, !new.isUp { unit.times.activeExit = now }
    if new.isUp, !unit.truth.isUp { noteUp(unit) }
    if !old.isDown, new.isDown { noteDown(unit, told: message) }
    if new == .failed, !isRefusal { noteFailure(unit, told: message) }
    processJob(of: unit)
    unit.truth.openEnd = []
    if new.isDown, unit.has(.isUnloaded), unit.state == .dead {
      later(unit, 1000...50_000) { [unowned self] in unload(unit) }
    }
  }

  /// The manager forgets a unit that is inactive and that nothing refers to.
  private func unload(_ unit: SimulatedUnit) {
    guard unit.job == nil else { return }
    unit.forget()
  }

  private func processJob(of unit: SimulatedUnit) {
    guard let job = unit.job else { return }
    if !job.isRunning { queue(job) }
    let active = unit.active
    switch job.kind {
    case .start:
      if active.isUp {
        finish(job, .done)
      } else if job.isRunning, active.isDown {
        finish(job, active == .failed ? .failed : .done)
      }
    case .reload where job.isRunning:
      if active == .active {
        finish(job, unit.restarts.isReloadGood ? .done : .failed)
      } else if active.isDown {
        finish(job, active == .failed ? .failed : .done)
      }
    case .stop, .restart: if active.isDown { finish(job, .done) }
    case .reload: break
    }
  }

  // MARK: The truth

  private func noteUp(_ unit: SimulatedUnit) {
    let truth = unit.truth
    let isByRestartJob = truth.restartJob != nil && truth.restartJob === unit.job
    let place = note(.cameUp, unit) { fact in
      fact.restartJob = isByRestartJob ? truth.restartFlag : false
      fact.autoRestart = truth.isAutoPending
      if truth.isAutoPending {
        // If somebody has started it in between, that is a matter of opinion.
        fact.isRestarted = truth.hasGoneDown ? (truth.wasStartedByHand ? nil : true) : false
        if truth.wasRestartedByHand, fact.isRestarted == true { fact.isRestarted = nil }
        if truth.isAutoShared { (fact.autoRestart, fact.isRestarted) = (nil, nil) }
      } else if isByRestartJob {
        fact.isRestarted = truth.restartFlag
      } else {
        // A restart job that has ended the wait for an automatic restart has stopped nothing.
        fact.isRestarted = truth.wasRestartedByHand && truth.hasGoneDown ? nil : false
        if fact.isRestarted == nil || truth.restartFlag == nil { fact.restartJob = nil }
      }
      if truth.isAdrift {
        fact.isRestarted = truth.hasGoneDown ? nil : false
        if truth.restartFlag != false { fact.restartJob = nil }
        if truth.isAutoPending { fact.autoRestart = nil }
      }
    }
    unit.truth = UnitTruth()
    unit.truth.isUp = true
    unit.truth.openEnd = [place]
  }

  private func noteDown(_ unit: SimulatedUnit, told message: Int?) {
    if unit.truth.isUp {
      let job = unit.job?.kind == .restart ? unit.job : nil
      // If the unit has ended by itself while the job waited, or the journal shows its failure and not what has caused it,
      // both may be said to have done it.
      let isClear = unit.truth.isEndedByJob && (unit.truth.isStopLogged || unit.result == .success)
      let flag: Bool? = job == nil ? false : isClear ? true : nil
      let place = note(.wentDown, unit, told: message) { $0.restartJob = flag }
      let openStop = unit.truth.openStop
      unit.truth = UnitTruth()
      unit.truth.openStop = openStop
      unit.truth.hasGoneDown = true
      unit.truth.restartJob = job
      unit.truth.restartFlag = flag
      unit.truth.openEnd = [place]
    } else if unit.description.kind == .oneshot, unit.result == .success, unit.process.code == 1 {
      unit.truth.openEnd = [note(.ranToEnd, unit)]
      unit.truth.isAutoPending = false
      breakRestart(of: unit, told: message)
    }
    unit.truth.isEndedByJob = false
  }

  private func noteFailure(_ unit: SimulatedUnit, told message: Int?) {
    unit.truth.isAutoPending = false
    let place = note(.failed, unit, told: message)
    unit.truth.openEnd.append(place)
  }
}
