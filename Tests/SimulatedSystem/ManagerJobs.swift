/// The manager's jobs (job.c and transaction.c).
extension SimulatedManager {
  /// What came of the attempt to do a job.
  enum Attempt {
    /// It has begun: this is logged if it is not done already.
    case begun
    /// It goes on without a message.
    case silent
    /// It has to be tried again when the unit has changed.
    case again
    /// There was nothing to do.
    case already
    /// A condition is not met.
    case skipped
    /// It is over, and that was logged.
    case over
  }

  /// Queues a job, and those that come with it for other units.
  ///
  /// - Parameter isAutomatic: whether `Restart=` wants it.
  @discardableResult func enqueue(
    _ kind: SimulatedJob.Kind, _ unit: SimulatedUnit, isAutomatic: Bool = false
  ) -> SimulatedJob {
    let job = install(kind, unit, isAutomatic: isAutomatic)
    if kind == .start || kind == .restart {
      for other in unit.needs where other.active.isDown && other.job?.kind != .start { enqueue(.start, other) }
    }
    if kind == .stop || kind == .restart { propagate(kind, from: unit) }
    return job
  }

  func propagate(_ kind: SimulatedJob.Kind, from unit: SimulatedUnit) {
    for part in unit.parts {
      switch kind {
      case .stop where !part.active.isDown || part.job != nil: enqueue(.stop, part)
      // Like try-restart: what is not active stays so.
      case .restart where part.active.isUp || part.active == .activating: enqueue(.restart, part)
      default: break
      }
    }
  }

  private func install(_ kind: SimulatedJob.Kind, _ unit: SimulatedUnit, isAutomatic: Bool) -> SimulatedJob {
    if let job = unit.job {
      if job.kind.conflicts(with: kind) {
        finish(job, .canceled)
      } else {
        let merged = job.kind.merged(with: kind)
        // A job that is running goes on if it does what is asked anyway; a reload does not, as it may have begun too early.
        if job.isRunning, job.kind == .start, merged == .restart, unit.truth.restartJob === job {
          // A restart is asked for in the middle of one: if the unit fails now, the first one may be said to have failed.
          note(.restartBroken, unit) { $0.restartJob = nil }
          unit.truth.restartFlag = nil
        }
        if job.isRunning, merged != job.kind || kind == .reload { job.isRunning = false }
        job.kind = merged
        if unit.truth.isAutoPending != isAutomatic { unit.truth.isAutoShared = true }
        queue(job)
        return job
      }
    }
    boot.lastJob += 1
    let job = SimulatedJob(id: boot.lastJob, unit: unit, kind: kind)
    job.isAutomatic = isAutomatic
    unit.job = job
    addToBus(unit)
    addToBus(job)
    queue(job)
    return job
  }

  func queue(_ job: SimulatedJob) {
    if !queues.run.contains(where: { $0 === job }) { queues.run.append(job) }
  }

  /// Does the jobs that were queued, and need not wait for others.
  func runJobs() {
    while !queues.run.isEmpty {
      let job = queues.run.removeFirst()
      guard job.unit.job === job, !job.isRunning else { continue }
      if isRunnable(job) { run(job) } else { queues.blocked.append(job) }
    }
  }

  /// Whether no other job has to be done first: a unit is started after those that it needs, and is stopped before them.
  private func isRunnable(_ job: SimulatedJob) -> Bool {
    switch job.kind {
    case .start: !job.unit.needs.contains { $0.job != nil && $0.job?.kind != .reload }
    case .stop, .restart:
      !job.unit.parts.contains { part in
        part.needs.contains { $0 === job.unit } && (part.job?.kind == .stop || part.job?.kind == .restart)
      }
    case .reload: true
    }
  }

  private func run(_ job: SimulatedJob) {
    job.isRunning = true
    let unit = job.unit
    let attempt: Attempt
    let begin: MessageKind
    switch job.kind {
    case .start: (attempt, begin) = (start(unit), .starting)
    case .stop, .restart: (attempt, begin) = (stop(unit), .stopping)
    case .reload: (attempt, begin) = (reload(unit), .reloading)
    }
    guard unit.job === job else { return }
    switch attempt {
    case .begun: sayBegin(begin, job)
    case .silent, .over: break
    case .again: job.isRunning = false
    case .already: finish(job, .done, wasAlready: true)
    case .skipped:
      note(.startSkipped, unit, told: say(.skipped, unit, job: job))
      unit.truth.isAutoPending = false
      finish(job, .done, wasAlready: true)
    }
  }

  private func sayBegin(_ kind: MessageKind, _ job: SimulatedJob) {
    let truth = job.unit.truth
    guard let message = say(kind, job.unit, job: job) else { return }
    switch kind {
    case .starting: note(message, tells: [truth.openStart].compactMap(\.self))
    case .stopping:
      job.unit.truth.isStopLogged = true
      note(message, tells: [truth.openStop].compactMap(\.self))
    default: note(.reloadBegan, job.unit, told: message)
    }
  }

  /// A job is over (job_finish_and_invalidate()).
  ///
  /// - Parameter wasAlready: whether it had nothing to do, so that nothing is logged.
  func finish(_ job: SimulatedJob, _ result: SimulatedJob.Result, wasAlready: Bool = false) {
    let unit = job.unit
    let message = wasAlready ? nil : sayEnd(job, result)
    if result == .done, job.kind == .restart {
      job.kind = .start
      job.isRunning = false
      job.hasStopped = !wasAlready
      addToBus(job)
      queue(job)
    } else {
      sendRemoval(of: job, result)
      unit.job = nil
      addToBus(unit)
      endRestart(job, result, told: message)
      if result != .done, result != .canceled, job.kind == .start { failDependents(of: unit) }
    }
    queues.run += queues.blocked
    queues.blocked = []
  }

  private func sayEnd(_ job: SimulatedJob, _ result: SimulatedJob.Result) -> Int? {
    let unit = job.unit
    let kind: MessageKind
    switch (job.kind, result) {
    case (_, .canceled): return nil
    case (.start, .done): kind = .started
    case (.start, .dependency): kind = .dependencyFailed
    case (.start, _): kind = .startFailed
    case (.stop, _): kind = .stopped
    case (.restart, _): kind = .stoppedByRestart
    case (.reload, .done): kind = .reloaded
    case (.reload, _): kind = .reloadFailed
    }
    let message = say(kind, unit, job: job)
    switch kind {
    case .dependencyFailed: note(.dependencyFailed, unit, told: message) { $0.invocation = nil }
    case .reloaded: note(.reloadDone, unit, told: message)
    case .reloadFailed: note(.reloadFailed, unit, told: message)
    default: note(message, tells: unit.truth.openEnd.filter { isTold(facts[$0].kind, by: kind) })
    }
    return message
  }

  private func isTold(_ fact: TrueFact.Kind, by message: MessageKind) -> Bool {
    switch message {
    case .started: fact == .cameUp || fact == .ranToEnd
    case .startFailed: fact == .failed
    case .stopped, .stoppedByRestart: fact == .wentDown
    default: false
    }
  }

  /// If the job has taken its unit down to bring it up again: whether it has.
  private func endRestart(_ job: SimulatedJob, _ result: SimulatedJob.Result, told message: Int?) {
    let unit = job.unit
    if result == .canceled, job.kind == .start, unit.active == .activating { unit.truth.isAdrift = true }
    guard unit.truth.restartJob === job, !unit.active.isUp else { return }
    breakRestart(of: unit, told: message)
  }

  func breakRestart(of unit: SimulatedUnit, told message: Int?) {
    guard unit.truth.restartJob != nil else { return }
    let flag = unit.truth.restartFlag
    note(.restartBroken, unit, told: message) { $0.restartJob = unit.truth.isAdrift ? nil : flag }
    unit.truth.restartJob = nil
    if !unit.truth.isAdrift { unit.truth.restartFlag = false }
    unit.truth.wasRestartedByHand = true
  }

  private func failDependents(of unit: SimulatedUnit) {
    for part in unit.parts where part.needs.contains(where: { $0 === unit }) {
      if let job = part.job, job.kind == .start, !job.isRunning { finish(job, .dependency) }
    }
  }
}
