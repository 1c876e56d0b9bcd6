import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// Changes seen on the bus against what the journal has told of them.
@Suite struct BusWitnessTests {
  private func said(
    _ kind: ManagerEntry.Kind, _ invocation: String?, at time: UInt64, source: LifecycleEvent.Source = .journal
  ) -> ManagerEntry {
    ManagerEntry(
      kind: kind, unit: "a.service", manager: .system, machine: "m", boot: "b", realtime: 0, monotonic: time,
      cursor: "c",
      invocation: invocation, job: nil, result: kind == .failureResult ? "signal" : nil, message: "", source: source)
  }

  private func change(
    _ state: String, _ invocation: String?, begin: UInt64? = nil, enter: UInt64 = 0, exit: UInt64 = 0,
    inactive: UInt64 = 0, result: String? = nil, restarts: UInt32 = 0
  ) -> UnitChange {
    var change = UnitChange(unit: "a.service", activeState: state == "auto-restart" ? "activating" : state)
    change.subState = state
    change.invocation = invocation
    change.inactiveExit = begin ?? enter
    change.activeEnter = enter
    change.activeExit = exit
    change.inactiveEnter = inactive
    change.details.result = result
    change.details.nRestarts = restarts
    return change
  }

  private func text(_ event: LifecycleEvent) -> String {
    var words = [event.kind.rawValue, event.result ?? "", event.source.rawValue]
    if event.autoRestart == true { words.append("auto") }
    return words.filter { !$0.isEmpty }.joined(separator: " ")
  }

  /// The events that come of entries in the journal and changes on the bus, both in this order, a second later.
  private func events(_ entries: [ManagerEntry], _ changes: [UnitChange]) -> [String] {
    var tracker = LifecycleTracker()
    var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
    for entry in entries { _ = tracker.process(entry) }
    _ = tracker.flushAll()
    for change in changes { witness.note(change, of: .system, now: 5000, realtime: 7) }
    #expect(witness.unexplained(by: tracker, now: 5000 + BusWitness.patience - 1).isEmpty)
    var told: [String] = []
    while case let missed = witness.unexplained(by: tracker, now: 5000 + BusWitness.patience), !missed.isEmpty {
      told += missed.flatMap { tracker.process($0) }.map(text)
    }
    return told
  }

  /// The events of an entry that comes behind changes on the bus.
  private func events(_ entries: [ManagerEntry], _ changes: [UnitChange], then entry: ManagerEntry) -> [String] {
    var tracker = LifecycleTracker()
    var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
    for entry in entries { _ = tracker.process(entry) }
    for change in changes { witness.note(change, of: .system, now: 5000, realtime: 7) }
    var told: [String] = []
    while case let missed = witness.unexplained(by: tracker, before: entry), !missed.isEmpty {
      told += missed.flatMap { tracker.process($0) }.map(text)
    }
    told += tracker.process(entry).map(text)
    return told + tracker.flushAll().map(text)
  }

  @Test func aCleanExitThatWasNotLogged() {
    let down = change("inactive", "i", enter: 500, exit: 2000, inactive: 2100)
    #expect(events([said(.started, "i", at: 500)], [down]) == ["stopped success bus"])
    #expect(events([], [down]) == ["stopped success bus"], "first seen")
    #expect(events([said(.started, "i", at: 500), said(.success, "i", at: 2100)], [down]).isEmpty, "explained")
    #expect(events([said(.started, "j", at: 3000)], [down]).isEmpty, "the journal has gone on")
    // journald was slower than the service.
    #expect(events([said(.started, "i", at: 2500)], [down]) == ["stopped success bus"])
    // It waits for its automatic restart.
    let waiting = change("auto-restart", "i", begin: 2100, enter: 500, exit: 2000, inactive: 2100)
    #expect(events([said(.started, "i", at: 500)], [waiting]) == ["stopped success bus"])
    #expect(events([said(.started, "i", at: 500), said(.restartScheduled, "i", at: 2200)], [waiting]).isEmpty)
  }

  @Test func whatTheManagerTellsInTheNameOfTheNextInvocation() {
    let between = change("inactive", "j", enter: 500, exit: 2000, inactive: 2100)
    let up = change("active", "j", enter: 2200)
    let restart = [said(.started, "i", at: 500), said(.failureResult, "i", at: 2000), said(.started, "j", at: 2200)]
    #expect(events(restart, [between, up]).isEmpty)
    let starting = change("activating", "j", begin: 2150, enter: 500, exit: 2000, inactive: 2100)
    #expect(events(restart, [between, starting]).isEmpty)
    #expect(events(Array(restart.prefix(2)), [between]).isEmpty, "not up yet")
    #expect(events([said(.started, "i", at: 500)], [between]) == ["stopped success bus"], "it was the one before")
    #expect(events(Array(restart.prefix(2)) + [said(.starting, "j", at: 2200)], [between]).isEmpty, "not up yet")
  }

  @Test func aFailureThatWasNotLogged() {
    let failed = change("failed", "i", enter: 500, exit: 2000, inactive: 2100)
    #expect(events([said(.started, "i", at: 500)], [failed]) == ["stopped failed bus", "failed failed bus"])
    #expect(events([said(.started, "i", at: 500), said(.failureResult, "i", at: 2100)], [failed]).isEmpty)
    let why = change("failed", "i", enter: 500, exit: 2000, inactive: 2100, result: "signal")
    #expect(events([said(.started, "i", at: 500)], [why]) == ["stopped signal bus", "failed signal bus"])
    // A start that has failed, and is tried again: what is told of being up is about the time before.
    let again = change("auto-restart", "j", begin: 2900, enter: 1100, exit: 2000, inactive: 2900, result: "exit-code")
    let before = [said(.started, "i", at: 1100), said(.success, "i", at: 2000)]
    #expect(events(before, [again]).isEmpty)
  }

  @Test func aStartThatWasNotLogged() {
    let up = change("active", "i", enter: 2000)
    #expect(events([], [up]) == ["started bus"])
    #expect(events([said(.started, "i", at: 2000)], [up]).isEmpty)
    #expect(events([said(.started, "i", at: 2000), said(.success, "i", at: 2500)], [up]).isEmpty, "up and down again")
    let down = change("inactive", "i", enter: 2000, exit: 3000, inactive: 3100)
    #expect(events([], [up, down]) == ["started bus", "stopped success bus"])
    #expect(events([], [down]) == ["started bus", "stopped success bus"], "both told at once")
  }

  /// A unit without a process goes down and comes up at once: one change tells both, or the first comes in the name of the new
  /// invocation.
  @Test(arguments: [false, true]) func aRestartJobThatIsToldAtOnce(isToldInTwo: Bool) {
    func restarted(_ job: UInt32?) -> (events: [String], tracker: LifecycleTracker) {
      var tracker = LifecycleTracker()
      var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
      _ = tracker.process(said(.started, "i", at: 500))
      if let job { witness.note(job: job, of: "a.service", result: nil, now: 4000, realtime: 7) }
      if isToldInTwo {
        var down = change("inactive", "j", begin: 500, enter: 500, exit: 2000, inactive: 2000)
        down.job = job ?? 0
        witness.note(down, of: .system, now: 5000, realtime: 7)
        witness.note(
          change("activating", "j", begin: 2100, enter: 500, exit: 2000, inactive: 2000), of: .system, now: 5000,
          realtime: 7)
      }
      let both = change("active", "j", begin: 2100, enter: 2100, exit: 2000, inactive: 2000)
      witness.note(both, of: .system, now: 5000, realtime: 7)
      if let job { witness.note(job: job, of: "a.service", result: "done", now: 5001, realtime: 7) }
      var told: [String] = []
      while case let missed = witness.unexplained(by: tracker, now: 5000 + BusWitness.patience), !missed.isEmpty {
        for event in missed.flatMap({ tracker.process($0) }) {
          told.append(text(event) + (event.restartJob.map { $0 ? " restart" : "" } ?? ""))
        }
      }
      return (told, tracker)
    }
    let expected = ["stopping bus", "stopped success bus restart", "started bus restart", "restarted bus restart"]
    #expect(restarted(7).events == expected)
    #expect(restarted(nil).events == ["stopped success bus", "started bus"], "nobody knows why")

    // The journal tells the same late, and then of the next restart: nothing twice, nothing lost.
    var tracker = restarted(7).tracker
    func journal(_ kind: ManagerEntry.Kind, _ invocation: String, _ time: UInt64, _ job: LifecycleEvent.Job?)
      -> [String]
    {
      var entry = said(kind, invocation, at: time)
      entry.job = job
      return tracker.process(entry).map { text($0) + ($0.restartJob == true ? " restart" : "") }
    }
    func restart(_ old: String, _ new: String, at time: UInt64, job: UInt32) -> [String] {
      journal(.success, old, time, nil) + journal(.stopped, old, time, .init(id: job, type: "restart", result: "done"))
        + journal(.stopping, old, time, .init(id: job, type: "stop"))
        + journal(.starting, new, time + 1, .init(id: job, type: "start"))
        + journal(.started, new, time + 1, .init(id: job, type: "start", result: "done"))
    }
    #expect(restart("i", "j", at: 2000, job: 7) == [])
    #expect(
      restart("j", "k", at: 9000, job: 8) == [
        "stopping journal", "stopped success journal restart", "starting journal", "started journal restart",
        "restarted journal restart",
      ])
  }

  @Test func aRestartThatWasNotLogged() {
    let up = change("active", "j", enter: 3000, exit: 2000, inactive: 2100, restarts: 1)
    #expect(
      events([said(.started, "i", at: 500)], [up])
        == ["stopped success bus", "restarting bus", "started bus auto", "restarted bus auto"])
    let byHand = change("active", "j", enter: 3000, exit: 2000, inactive: 2100)
    #expect(events([said(.started, "i", at: 500)], [byHand]) == ["stopped success bus", "started bus"])
  }

  @Test func whatTheJournalPassesOver() {
    let up = change("active", "i", enter: 2000)
    let down = change("inactive", "i", enter: 2000, exit: 3000, inactive: 3100)
    // The end of a unit whose start was hidden.
    let failure = said(.failureResult, "i", at: 3100)
    #expect(events([], [up], then: failure) == ["started bus", "stopped signal journal", "failed signal journal"])
    // The next start of one whose end was hidden; or which was hidden all the time.
    let next = said(.started, "j", at: 4000)
    let started = said(.started, "i", at: 2000)
    #expect(events([started], [up, down], then: next) == ["stopped success bus", "started journal"])
    let again = change("active", "j", enter: 3900)
    #expect(events([], [up, down, again], then: next) == ["started bus", "stopped success bus", "started journal"])
    // What the entry itself tells, or one behind it may, is not passed over.
    #expect(events([], [up], then: said(.started, "i", at: 2001)) == ["started journal"])
    #expect(events([], [up], then: said(.starting, "i", at: 2001)) == ["starting journal"])
    #expect(events([started], [down], then: said(.mainProcessExit, "i", at: 3101)).isEmpty)
    #expect(events([started], [down], then: said(.success, "i", at: 3101)) == ["stopped success journal"])
    // A start that was refused, in the name of the last invocation, which was hidden.
    let refused = ["started bus", "stopped success bus"]
    #expect(
      events([], [up, down], then: said(.startLimitHit, "i", at: 3200)) == refused + ["gave-up start-limit-hit journal"]
    )
    #expect(events([], [up, down], then: said(.startFailed, "i", at: 3200)) == refused + ["failed failed journal"])
    // A late entry, about what is over.
    #expect(events([started, next], [again], then: said(.stopped, "i", at: 4100)).isEmpty)
  }

  @Test func aRestartWhoseJobIsCanceled() {
    func events(result: String, then: [ManagerEntry] = []) -> [String] {
      var tracker = LifecycleTracker()
      var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
      var stopped = said(.stopped, "i", at: 2000)
      stopped.job = .init(id: 7, type: "restart", result: "done")
      for entry in [said(.started, "i", at: 500), stopped] { _ = tracker.process(entry) }
      _ = tracker.flushAll()
      witness.note(job: 7, of: "a.service", result: result, now: 3000, realtime: 7)
      #expect(witness.nextDue == (result == "done" ? nil : 3000 + BusWitness.patience))
      for entry in then { _ = tracker.process(entry) }
      let missed = witness.unexplained(by: tracker, now: 3000 + BusWitness.patience)
      return missed.flatMap { tracker.process($0) }.map(text)
    }
    #expect(events(result: "canceled") == ["stopped success restart-failed"])
    #expect(events(result: "done").isEmpty)
    var started = said(.started, "j", at: 3100)
    started.job = .init(id: 7, type: "start", result: "done")
    #expect(events(result: "canceled", then: [started]).isEmpty, "it came up all the same")
  }

  private enum Step {
    case queued(UInt32), gone(UInt32)
    case change(UnitChange, job: UInt32)
  }

  @Test func aRestartByHandThatWasNotLogged() {
    func events(_ steps: [Step]) -> [String] {
      var tracker = LifecycleTracker()
      var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
      _ = tracker.process(said(.started, "i", at: 500))
      for step in steps {
        switch step {
        case .queued(let job): witness.note(job: job, of: "a.service", result: nil, now: 5000, realtime: 7)
        case .gone(let job): witness.note(job: job, of: "a.service", result: "done", now: 5000, realtime: 7)
        case .change(var change, let job):
          change.job = job
          witness.note(change, of: .system, now: 5000, realtime: 7)
        }
      }
      var told: [String] = []
      while case let missed = witness.unexplained(by: tracker, now: 5000 + BusWitness.patience), !missed.isEmpty {
        let events = missed.flatMap { tracker.process($0) }
        told += events.map { event in event.restartJob == true ? "\(text(event)) restart" : text(event) }
      }
      return told
    }
    let stopping = change("deactivating", "i", enter: 500, exit: 2000)
    let down = change("inactive", "i", enter: 500, exit: 2000, inactive: 2100)
    let up = change("active", "j", enter: 2200)
    let restart = ["stopped success bus restart", "started bus restart", "restarted bus restart"]
    #expect(
      events([.queued(7), .change(stopping, job: 7), .change(down, job: 7), .change(up, job: 7), .gone(7)]) == restart)
    #expect(events([.queued(7), .change(down, job: 7), .change(up, job: 0), .gone(7)]) == restart, "told at once")
    let plain = ["stopped success bus", "started bus"]
    // As a stop by hand is told: the job is gone behind what it has done.
    let stop = [Step.queued(7), .change(stopping, job: 7), .change(down, job: 7), .gone(7)]
    #expect(events(stop + [.queued(8), .change(up, job: 8), .gone(8)]) == plain)
    #expect(events(stop + [.change(up, job: 0)]) == plain)
    let waits = [Step.change(stopping, job: 0), .queued(8), .change(stopping, job: 8), .change(down, job: 8)]
    #expect(events(waits + [.change(up, job: 8), .gone(8)]) == plain, "a start that waits")
    let replaced = [Step.queued(7), .change(stopping, job: 7), .gone(7), .queued(8), .change(down, job: 8)]
    #expect(events(replaced + [.change(up, job: 8)]) == plain, "a stop, replaced by a start")
  }

  @Test func aOneshotThatWasNotLogged() {
    func oneshot(_ result: String = "success", code: Int32 = 1, mainStart: UInt64 = 2001) -> UnitChange {
      var change = change("inactive", "i", begin: 2000, inactive: 2100, result: result)
      change.details.exitCode = code
      change.details.mainStart = mainStart
      return change
    }
    let begin = change("activating", "i", begin: 2000)
    #expect(events([], [begin, oneshot()]) == ["starting bus", "finished success bus"])
    let earlier = [said(.starting, "h", at: 1500), said(.success, "h", at: 1600), said(.started, "h", at: 1600)]
    #expect(events(earlier, [begin, oneshot()]) == ["starting bus", "finished success bus"], "again")
    var stopping = change("deactivating", "i", begin: 2000)
    stopping.subState = "stop-post"
    #expect(events([], [begin, stopping, oneshot()]).count == 2)
    stopping.subState = "stop-sigterm"
    #expect(events([], [begin, stopping, oneshot()]).isEmpty, "stopped while starting")
    #expect(events([], [begin, oneshot(code: 2)]).isEmpty, "killed")
    #expect(events([], [begin, oneshot(mainStart: 900)]).isEmpty, "of an earlier run")
    #expect(events([], [begin, oneshot("exec-condition")]).isEmpty)
    let logged = [said(.starting, "i", at: 2000), said(.success, "i", at: 2100), said(.started, "i", at: 2101)]
    #expect(events(logged, [begin, oneshot()]).isEmpty)
  }

  @Test func whetherAStartHasFailed() {
    var tracker = LifecycleTracker()
    var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
    #expect(tracker.process(said(.failureResult, "i", at: 2000)).isEmpty, "was it up?")
    #expect(witness.failedStarts(in: tracker).isEmpty)
    witness.note(
      change("failed", "i", begin: 1500, enter: 1100, exit: 1200, inactive: 2000), of: .system, now: 5000, realtime: 7)
    let events = witness.failedStarts(in: tracker).flatMap { tracker.process($0) } + tracker.flushAll()
    #expect(events.map(text) == ["failed signal journal"])
    #expect(witness.failedStarts(in: tracker).isEmpty)
  }

  @Test func aFailedStartThatWasNotLogged() {
    func failed(_ invocation: String = "i", state: String = "failed", mainStart: UInt64 = 1901) -> UnitChange {
      var change = change(
        state, invocation, begin: state == "failed" ? 1900 : 2000, enter: 1100, exit: 1200, inactive: 2000,
        result: "exit-code", restarts: state == "failed" ? 0 : 1)
      change.details.exitCode = 1
      change.details.mainStart = mainStart
      return change
    }
    let told = ["starting bus", "failed exit-code bus"]
    #expect(events([], [failed()]) == told)
    #expect(events([], [failed(mainStart: 900)]) == told, "before the main process")
    #expect(
      events([said(.starting, "i", at: 1900), said(.failureResult, "i", at: 2001)], [failed()]).isEmpty, "logged")
    #expect(events([said(.failureResult, "i", at: 2001)], [failed()]).isEmpty, "logged in part")
    #expect(
      events([], [change("failed", "i", begin: 900, enter: 100, exit: 200, inactive: 2000)]).isEmpty, "begun before")
    let before = [said(.started, "h", at: 1100), said(.success, "h", at: 1200)]
    #expect(events(before, [failed()]) == told, "after an invocation that was told")
    let waiting = failed(state: "auto-restart")
    #expect(events(before, [waiting]) == ["restarting bus"] + told)
    #expect(events(before, [failed(state: "auto-restart", mainStart: 1000)]).isEmpty, "what was before it is not known")
    var last = change(
      "failed", "j", begin: 2100, enter: 1100, exit: 1200, inactive: 2200, result: "exit-code", restarts: 1)
    last.details.mainStart = 2101
    #expect(events([], [waiting, last]) == told + ["restarting bus"] + told)
  }

  @Test func whatIsNoChangeIsNoNews() {
    #expect(events([], [change("active", "i", enter: 900)]).isEmpty, "active since before")
    #expect(events([], [change("inactive", nil)]).isEmpty, "was loaded, never ran")
    let skipped = change("inactive", "i", enter: 10, exit: 20, inactive: 2000)
    #expect(events([], [skipped]).isEmpty, "a skipped start")
    #expect(events([], [change("deactivating", "i", enter: 500, exit: 2000)]).isEmpty)
    let up = change("active", "i", enter: 2000)
    #expect(events([], [up, up, up]).count == 1)
  }

  @Test func theEntryThatComesAfterAllAddsNothing() {
    var tracker = LifecycleTracker()
    _ = tracker.process(said(.started, "i", at: 500))
    let seen = tracker.process(said(.success, "i", at: 2100, source: .bus))
    #expect(seen.map(\.source) == [.bus])
    #expect(tracker.process(said(.success, "i", at: 2100)).isEmpty)
    var other = LifecycleTracker()
    _ = other.process(said(.started, "i", at: 500))
    let logged = other.process(said(.success, "i", at: 2100)) + other.flushAll()
    #expect(logged.map(\.id) == seen.map(\.id), "the same fact, the same id")
  }

  @Test func whoseStopWaitsInVain() {
    func waiting(_ note: (inout BusWitness) -> Void) -> [String] {
      var tracker = LifecycleTracker()
      var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
      _ = tracker.process(said(.started, "i", at: 500))
      #expect(tracker.process(said(.success, "i", at: 2100)).isEmpty, "an instantaneous restart?")
      note(&witness)
      return tracker.emit(witness.endsWithoutJob(in: tracker)).map(text)
    }
    let down = change("inactive", "i", enter: 500, exit: 2000, inactive: 2100)
    #expect(waiting { _ in }.isEmpty)
    #expect(waiting { $0.note(down, of: .system, now: 5000, realtime: 7) } == ["stopped success journal"])
    let byJob = waiting {
      $0.note(job: 7, of: "a.service", result: nil, now: 4000, realtime: 7)
      $0.note(down, of: .system, now: 5000, realtime: 7)
    }
    #expect(byJob.isEmpty, "its UNIT_STOPPED comes")
    let other = change("inactive", "h", enter: 500, exit: 2000, inactive: 2100)
    #expect(waiting { $0.note(other, of: .system, now: 5000, realtime: 7) }.isEmpty, "another invocation")
  }

  @Test func aShortLifeThatTheJournalHasLost() {
    // The bus has not told of the next invocation yet, which is in the journal already.
    func told(saidAt: UInt64?) -> [String] {
      var tracker = LifecycleTracker()
      var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
      for entry in [said(.started, "h", at: 500), said(.success, "h", at: 1500)] { _ = tracker.process(entry) }
      _ = tracker.flushAll()
      witness.note(change("active", "i", enter: 2000), of: .system, now: 2001, realtime: 7)
      let down = change("inactive", "i", enter: 2000, exit: 2900, inactive: 3000)
      witness.note(down, of: .system, now: 3001, realtime: 7)
      let next = said(.started, "j", at: 9000)
      var told: [String] = []
      while case let missed = witness.unexplained(by: tracker, before: next, saidAt: saidAt), !missed.isEmpty {
        told += missed.flatMap { tracker.process($0) }.map(text)
      }
      return told + tracker.process(next).map(text)
    }
    #expect(told(saidAt: 3100) == ["started bus", "stopped success bus", "started journal"])
    #expect(told(saidAt: 1900) == ["started journal"], "journald was late: it was before")
    #expect(told(saidAt: nil) == ["started journal"], "nobody knows")
    // The manager may name the invocation that is about to begin: this is about the one that the entry tells of.
    let tracker = LifecycleTracker()
    var witness = BusWitness(machine: "m", boot: "b", hostname: "h", since: 1000)
    let named = change("inactive", "j", enter: 500, exit: 2900, inactive: 3000)
    witness.note(named, of: .system, now: 3001, realtime: 7)
    #expect(witness.unexplained(by: tracker, before: said(.stopped, "i", at: 9000), saidAt: 3100).isEmpty)
  }
}
