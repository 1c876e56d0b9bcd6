import Glibc
import Systemd
import TestSupport
import Testing

@testable import EventReading
@testable import HookFiles
@testable import Hooks
@testable import JournalHookDaemon
@testable import Lifecycle
@testable import Processes
@testable import RunLedger
@testable import Runs
@testable import TrustedFiles

/// Runs from the ledger to their outcomes: a real ledger, with attempts that have no processes and clocks that stand still.
@Suite struct RunExecutorTests {
  private static let second: UInt64 = 1_000_000

  private let directory: TemporaryDirectory
  private let ledger: Ledger
  private let timers = StandingTimers()
  private let host = FakeRunHost()
  private let shown = Lines()
  private let reporter: Reporter
  private let executor: RunExecutor

  init() throws {
    directory = try TemporaryDirectory()
    ledger = try Ledger(stateDirectory: directory.path)
    let shown = shown
    reporter = Reporter(
      loop: try EventLoop(), journal: JournalWriter(path: "\(directory.path)/no-socket"),
      show: { shown.texts.append($0) }
    )
    executor = RunExecutor(
      owner: RunOwner.follow, timers: timers, ledger: ledger, host: host, reporter: reporter, jobs: 10,
      boot: CurrentBoot(id: "b"))
    try executor.due.restore(boot: "b")
    host.definitions["h"] = HookDefinition()
  }

  // MARK: What a test does

  /// Changes what hook h says.
  private func define(_ hook: String = "h", _ change: (inout HookDefinition) -> Void) {
    change(&host.definitions[hook, default: HookDefinition()])
  }

  private func event(
    _ id: String, _ kind: LifecycleEvent.Kind = .stopped, unit: String = "a.service", boot: String = "b"
  ) -> LifecycleEvent {
    LifecycleEvent(
      id: id, kind: kind, unit: unit, realtime: timers.realtime, monotonic: timers.monotonic, boot: boot, machine: "m")
  }

  /// Events happen, and lead to runs: writes them down, and gives them to the executor as `RunIntake` does.
  @discardableResult
  private func commit(_ events: [LifecycleEvent], _ planned: [PlannedRun]) throws -> [Run] {
    let commit = try ledger.commit(
      Ledger.Step(planned: planned, events: events), owner: RunOwner.follow, now: timers.realtime)
    executor.supersede(commit.superseded)
    executor.add(commit.runs)
    if commit.waiting > 0 { executor.due.schedule() }
    return commit.runs
  }

  /// An event happens that leads to one run, which is returned.
  @discardableResult
  private func plan(
    _ id: String, _ kind: LifecycleEvent.Kind = .stopped, hook: String = "h", unit: String = "a.service",
    boot: String = "b"
  ) throws -> Run {
    let event = event(id, kind, unit: unit, boot: boot)
    return try #require(try commit([event], [PlannedRun(event: event, hook: hook, mode: .live)]).first)
  }

  /// The attempts that have begun, as "HOOK EVENT".
  private var begun: [String] { host.begun.map { "\($0.run.hook) \($0.run.event.id)" } }

  /// The last attempt that has begun has its outcome, and nothing is left of it.
  private func end(_ outcome: Run.State, _ exit: RunMachine.Exit? = nil) throws {
    let attempt = try #require(host.begun.last)
    attempt.onOutcome?(.init(state: outcome, exit: exit))
    attempt.onRelease?()
    timers.advance()
  }

  /// The states of all runs, in the order of their numbers.
  private func states() throws -> [String] {
    try ledger.database.query("SELECT state FROM runs ORDER BY id").compactMap { $0[0].text }
  }

  /// The states of all attempts.
  private func attempts() throws -> [String] {
    try ledger.database.query("SELECT attempt, state FROM attempts ORDER BY run, attempt").compactMap { row in
      row[0].integer.flatMap { number in row[1].text.map { "\(number) \($0)" } }
    }
  }

  private func reason() throws -> String? {
    try ledger.database.query("SELECT reason FROM runs ORDER BY id DESC LIMIT 1").first?.first?.text
  }

  /// How many runs are to be done yet.
  private func open() throws -> Int64? {
    try ledger.database.query("SELECT count(*) FROM runs WHERE open").first?.first?.integer
  }

  // MARK: One attempt

  struct Ending: Sendable, CustomTestStringConvertible {
    var state: Run.State
    var exit: RunMachine.Exit?
    /// What is shown, but for the words about unit and run.
    var text: String
    var testDescription: String { text }
  }

  static let endings = [
    Ending(state: .succeeded, exit: .exited(0), text: "Hook h succeeded: "),
    Ending(state: .failed, exit: .exited(3), text: "Hook h failed, status 3: "),
    Ending(state: .failed, exit: .killed(9), text: "Hook h failed, killed by signal 9: "),
    Ending(state: .timedOut, exit: .killed(15), text: "Hook h timed out and was ended, killed by signal 15: "),
    Ending(state: .skipped, exit: .exited(1), text: "Hook h is not run, skipped: "),
  ]

  @Test(arguments: endings) func aRunBeginsAndHasItsOutcome(_ test: Ending) throws {
    let run = try plan("1")
    #expect(begun == ["h 1"])
    #expect(try states() == ["running"] && attempts() == ["1 running"])
    #expect(try ledger.containers(owner: RunOwner.follow) == ["/place/1"])
    #expect(!executor.isIdle && !executor.isQuiet)
    let attempt = try #require(host.begun.first)
    attempt.onOutcome?(.init(state: test.state, exit: test.exit))
    #expect(try states() == [test.state.rawValue] && attempts() == ["1 \(test.state.rawValue)"])
    // What it has left behind is still to be ended.
    #expect(try ledger.containers(owner: RunOwner.follow).count == 1)
    #expect(!executor.isQuiet && host.strayEnds == 0)
    attempt.onRelease?()
    timers.advance()
    #expect(try ledger.containers(owner: RunOwner.follow).isEmpty && open() == 0)
    #expect(executor.isIdle && executor.isQuiet && executor.isEmpty && host.strayEnds == 1)
    let place = "a.service stopped (run \(run.id))"
    #expect(shown.texts == ["Hook h starts: \(place).", "\(test.text)\(place)."])
  }

  @Test func runsOfAUnitGoOneAfterTheOther() throws {
    try plan("1")
    try plan("2")
    try plan("3", unit: "b.service")
    #expect(begun == ["h 1", "h 3"])
    #expect(executor.waitingCount == 1)
    host.begun[0].onOutcome?(.init(state: .succeeded))
    timers.advance()
    #expect(begun == ["h 1", "h 3", "h 2"])
  }

  @Test func noMoreRunsAreUnderWayThanJobsSays() throws {
    executor.jobs = 1
    try plan("1")
    try plan("2", unit: "b.service")
    #expect(begun == ["h 1"])
    executor.jobs = 2
    #expect(begun == ["h 1", "h 2"])
  }

  @Test func aRunThatIsGivenTwiceIsDoneOnce() throws {
    let run = try plan("1")
    executor.add([run, run])
    try end(.succeeded)
    #expect(begun == ["h 1"])
  }

  @Test(arguments: [(false, Run.State.stale), (true, .running)])
  func aRunOfAnEarlierBootIsDoneOnlyIfItsHookSaysSo(previousBoots: Bool, state: Run.State) throws {
    define { $0.previousBoots = previousBoots }
    try plan("1", boot: "earlier")
    #expect(try states() == [state.rawValue])
    #expect(begun.count == (previousBoots ? 1 : 0))
    #expect(executor.isIdle == !previousBoots)
  }

  // MARK: What keeps a run from beginning

  @Test(
    arguments: [
      // These may be mended by a change that is being made: the hook is tried once more, a second later.
      (.refused, .refused, true), (.changed, .refused, true), (.unusable, .failed, true),
      // Nobody makes a file untrusted for a moment.
      (.untrusted, .refused, false),
    ] as [(HookError.Kind, Run.State, Bool)])
  func aHookThatCannotBeOpenedEndsTheRun(kind: HookError.Kind, state: Run.State, hasSecondChance: Bool) throws {
    host.errors["h"] = HookError(kind, "it is as it is")
    try plan("1")
    try plan("2")
    if hasSecondChance {
      #expect(try states() == ["pending", "pending"])
      timers.advance(by: RunExecutorTests.second - 1)
      #expect(try states() == ["pending", "pending"])
      timers.advance(by: 1)
    }
    #expect(try states()[0] == state.rawValue)
    timers.advance(by: RunExecutorTests.second)
    #expect(try states() == [state.rawValue, state.rawValue])
    #expect(try reason() == "it is as it is")
    #expect(begun.isEmpty && executor.isIdle)
    #expect(try open() == 0 && attempts().isEmpty)
  }

  @Test func aHookThatIsThereASecondLaterIsRun() throws {
    host.errors["h"] = HookError(.refused, "gone")
    try plan("1")
    timers.advance(by: RunExecutorTests.second / 2)
    host.errors["h"] = nil
    timers.advance(by: RunExecutorTests.second / 2)
    #expect(begun == ["h 1"])
    #expect(!shown.texts.contains { $0.contains("gone") })
  }

  @Test func aRunWaitsAsLongAsTheSystemIsAtFault() throws {
    host.errors["h"] = HookError(.temporary, "Too many open files")
    try plan("3", hook: "g", unit: "b.service")
    try plan("1")
    try plan("2")
    for _ in 0..<5 {
      #expect(begun == ["g 3"])
      timers.advance(by: RunExecutorTests.second)
    }
    #expect(try states() == ["running", "pending", "pending"])
    // It is reported once.
    #expect(shown.texts.filter { $0.hasPrefix("Cannot begin run 2 of hook h now: Too many open files.") }.count == 1)
    #expect(!executor.isIdle)
    host.errors["h"] = nil
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["g 3", "h 1"])
    #expect(host.begun.last?.run.attempt == 1)
  }

  @Test func anAttemptThatCannotBeginNowIsTakenBack() throws {
    host.beginErrors = [SpawnError(step: .create, code: EAGAIN), SpawnError(step: .create, code: ENOMEM)]
    try plan("1")
    #expect(try states() == ["pending"] && attempts().isEmpty)
    #expect(host.discarded == 1)
    timers.advance(by: RunExecutorTests.second)
    #expect(try states() == ["pending"])
    timers.advance(by: RunExecutorTests.second)
    #expect(try states() == ["running"] && attempts() == ["1 running"])
    try end(.succeeded)
    #expect(executor.isIdle && host.discarded == 2)
  }

  @Test func anAttemptThatCanNeverBeginHasFailed() throws {
    host.beginErrors = [SpawnError(step: .execute, code: ENOEXEC)]
    try plan("1")
    timers.advance()
    #expect(try states() == ["failed"] && attempts() == ["1 failed"])
    #expect(try reason()?.hasPrefix("cannot execute it: ") == true)
    #expect(try ledger.containers(owner: RunOwner.follow).isEmpty)
    #expect(host.discarded == 1 && executor.isIdle && executor.isQuiet)
  }

  @Test(
    arguments: [
      (.success("ConditionPathExists=/x"), .skipped, "ConditionPathExists=/x does not hold"),
      (.failure(SystemError("ask", code: EIO)), .failed, "a condition could not be checked: ask: Input/output error"),
    ] as [(Result<String?, SystemError>, Run.State, String)])
  func aConditionKeepsARunFromBeginning(condition: Result<String?, SystemError>, state: Run.State, reason: String)
    throws
  {
    host.condition = condition
    try plan("1")
    timers.advance()
    #expect(try states() == [state.rawValue] && attempts().isEmpty)
    #expect(try self.reason() == reason)
    #expect(begun.isEmpty && executor.isIdle)
  }

  @Test func aRunOfTheUnitThatAnotherProcessHasComesFirst() throws {
    let replay = RunOwner().name
    let earlier = event("0")
    let others = try ledger.commit(
      Ledger.Step(planned: [PlannedRun(event: earlier, hook: "h", mode: .replay)], events: [earlier]), owner: replay,
      now: timers.realtime
    ).runs
    timers.advance(by: 1)
    try plan("1")
    for _ in 0..<3 {
      #expect(begun.isEmpty)
      timers.advance(by: 50_000)
    }
    // The places that were made for it are given up.
    #expect(host.discarded == 4)
    try ledger.record(.init(state: .succeeded), of: others[0], owner: replay, now: timers.realtime)
    timers.advance(by: 50_000)
    #expect(begun == ["h 1"])
  }

  @Test func whileTheSystemGoesDownOnlySomeHooksRun() throws {
    define("d") { $0.duringShutdown = true }
    executor.systemGoesDown(true)
    try plan("1")
    try plan("2", hook: "d")
    #expect(begun == ["d 2"])
    try end(.succeeded)
    #expect(begun == ["d 2"])
    executor.systemGoesDown(false)
    #expect(begun == ["d 2", "h 1"])
  }

  // MARK: Retries

  @Test func aFailureIsTriedAgainWhenItIsDue() throws {
    define {
      $0.retryCount = 2
      $0.retryDelay = .seconds(3)
    }
    try plan("1")
    for (attempt, delay) in [(1, 3), (2, 6)] as [(Int, UInt64)] {
      try end(.failed, .exited(1))
      #expect(try states() == ["pending"])
      #expect(executor.isIdle && executor.due.isWaiting)
      timers.advance(by: delay * RunExecutorTests.second - 1)
      #expect(host.begun.count == attempt)
      timers.advance(by: 1)
      #expect(host.begun.count == attempt + 1)
      #expect(host.begun.last?.run.attempt == attempt + 1)
      #expect(host.begun.last?.run.retries == attempt)
    }
    try end(.failed, .exited(1))
    #expect(try states() == ["failed"] && open() == 0)
    #expect(try attempts() == ["1 failed", "2 failed", "3 failed"])
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(host.begun.count == 3)
    #expect(shown.texts.filter { $0.contains("; it will be tried again in ") }.count == 2)
    #expect(shown.texts.last == "Hook h failed, status 1: a.service stopped (run 1).")
  }

  @Test func aRetryKeepsBackLaterRunsOfItsHookForItsUnit() throws {
    define { $0.retryCount = 1 }
    host.definitions["g"] = HookDefinition()
    try plan("1")
    try plan("2")
    try end(.failed)
    try plan("3", hook: "g")
    #expect(begun == ["h 1", "g 3"])
    try end(.succeeded)
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["h 1", "g 3", "h 1"])
    try end(.succeeded)
    #expect(begun == ["h 1", "g 3", "h 1", "h 2"])
    try end(.succeeded)
    #expect(try states() == ["succeeded", "succeeded", "succeeded"])
    #expect(executor.isIdle)
  }

  @Test func aLongSeriesThatWaitedForARetryIsDoneInPortions() throws {
    define { $0.retryCount = 1 }
    try plan("first")
    try end(.failed)
    let count = RunExecutor.portion * 2 + 3
    for number in 0..<count { try plan("\(number)") }
    #expect(begun == ["h first"] && executor.waitingCount == 0)
    timers.advance(by: RunExecutorTests.second)
    for _ in 0...count { try end(.succeeded) }
    #expect(begun == ["h first", "h first"] + (0..<count).map { "h \($0)" })
    #expect(try open() == 0)
    #expect(executor.isIdle)
  }

  @Test func aRetryOfAnEarlierProcessIsDoneWhenItIsDue() throws {
    define { $0.retryCount = 1 }
    try plan("1")
    try end(.failed)
    try plan("2")
    // As if journalhook had been started again.
    let next = RunExecutor(
      owner: RunOwner.follow, timers: timers, ledger: ledger, host: host, reporter: reporter, jobs: 10,
      boot: CurrentBoot(id: "b"))
    executor.drain()
    try next.due.restore(boot: "b")
    next.add(try ledger.openRuns(owner: RunOwner.follow, after: 0, limit: 10))
    #expect(begun == ["h 1"])
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["h 1", "h 1"])
    try end(.succeeded)
    #expect(begun == ["h 1", "h 1", "h 2"])
  }

  /// An executor as it is after a boot; the one before it does nothing more.
  private func reboot(to boot: String) throws -> RunExecutor {
    executor.drain()
    let next = RunExecutor(
      owner: RunOwner.follow, timers: timers, ledger: ledger, host: host, reporter: reporter, jobs: 10,
      boot: CurrentBoot(id: boot))
    try next.due.restore(boot: boot)
    return next
  }

  @Test func aRetryOfAnEarlierBootIsStale() throws {
    define { $0.retryCount = 1 }
    try plan("1")
    try end(.failed)
    let next = try reboot(to: "c")
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(try states() == ["stale"])
    let later = event("2", boot: "c")
    let runs = try ledger.commit(
      Ledger.Step(planned: [PlannedRun(event: later, hook: "h", mode: .live)], events: [later]),
      owner: RunOwner.follow, now: timers.realtime
    ).runs
    next.add(runs)
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(begun == ["h 1", "h 2"])
  }

  @Test func aRetryOfAnEarlierBootWaitsForTheStartOfItsUnit() throws {
    define {
      $0.retryCount = 1
      $0.previousBoots = true
    }
    try plan("1")
    try end(.failed)
    host.startJobs = ["a.service"]
    let next = try reboot(to: "c")
    timers.advance(by: 5 * RunExecutorTests.second)
    #expect(begun == ["h 1"] && next.due.isWaiting)
    // The start has failed; had it succeeded, the retry would be superseded.
    host.startJobs = []
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["h 1", "h 1"])
  }

  @Test func aRetryWaitsUntilAllThatHasHappenedWasRead() throws {
    define { $0.retryCount = 1 }
    var isUpToDate = true
    var looks = 0
    executor.callbacks.isUpToDate = { isUpToDate }
    executor.callbacks.onDue = { looks += 1 }
    try plan("1")
    try end(.failed)
    isUpToDate = false
    timers.advance(by: 5 * RunExecutorTests.second)
    #expect(begun == ["h 1"] && looks == 1)
    isUpToDate = true
    executor.due.scheduleNext()
    timers.advance()
    #expect(begun == ["h 1", "h 1"])
  }

  @Test func aRetryWhoseTimeComesBeforeTheAttemptIsReleasedIsDone() throws {
    // What the attempt has left behind ignores TERM for five seconds, and RetryDelaySec= is one second.
    define { $0.retryCount = 1 }
    try plan("1")
    let attempt = try #require(host.begun.first)
    attempt.onOutcome?(.init(state: .failed, exit: .exited(1)))
    timers.advance(by: 5 * RunExecutorTests.second)
    attempt.onRelease?()
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(begun == ["h 1", "h 1"])
    #expect(try states() == ["running"])
  }

  // MARK: Superseded runs

  @Test func aRunThatSettlesIsSupersededByTheOppositeTurn() throws {
    let down = event("1")
    var planned = PlannedRun(event: down, hook: "h", mode: .live)
    planned.settle = 3 * RunExecutorTests.second
    planned.due = DueTime(3 * RunExecutorTests.second, after: down, boot: "b", now: timers.now)
    #expect(try commit([down], [planned]).isEmpty)
    timers.advance(by: 2 * RunExecutorTests.second)
    #expect(begun.isEmpty)
    try commit([event("2", .started)], [])
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(try states() == ["superseded"])
    #expect(begun.isEmpty && executor.isIdle)
    #expect(
      shown.texts == [
        "Hook h is not run, superseded: the unit has taken the opposite turn since: a.service stopped (run 1)."
      ])
  }

  @Test func aRunThatHasSettledIsDone() throws {
    let down = event("1")
    var planned = PlannedRun(event: down, hook: "h", mode: .live)
    planned.settle = 3 * RunExecutorTests.second
    planned.due = DueTime(3 * RunExecutorTests.second, after: down, boot: "b", now: timers.now)
    try commit([down], [planned])
    timers.advance(by: 3 * RunExecutorTests.second - 1)
    #expect(begun.isEmpty)
    timers.advance(by: 1)
    #expect(begun == ["h 1"])
  }

  @Test func aRetryIsSupersededWhileItWaits() throws {
    define { $0.retryCount = 1 }
    try plan("1")
    try plan("2", .stopped)
    try end(.failed)
    try commit([event("3", .started)], [])
    // What it kept back goes on.
    #expect(begun == ["h 1", "h 2"])
    try end(.succeeded)
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(try states() == ["superseded", "succeeded"])
    #expect(begun == ["h 1", "h 2"] && executor.isIdle)
  }

  @Test func aRetryIsSupersededWhileItWaitsForItsTurn() throws {
    define { $0.retryCount = 1 }
    host.definitions["g"] = HookDefinition()
    try plan("1")
    try end(.failed)
    try plan("2", hook: "g")
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["h 1", "g 2"] && executor.waitingCount == 1)
    try commit([event("3", .started)], [])
    #expect(executor.waitingCount == 0)
    try end(.succeeded)
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(begun == ["h 1", "g 2"] && executor.isIdle)
    #expect(try states() == ["superseded", "succeeded"])
  }

  @Test func aRetryIsSupersededWhileTheSystemIsAtFault() throws {
    define { $0.retryCount = 1 }
    try plan("1")
    try end(.failed)
    host.errors["h"] = HookError(.temporary, "Too many open files")
    timers.advance(by: RunExecutorTests.second)
    try commit([event("2", .started)], [])
    #expect(try states() == ["superseded"])
    host.errors["h"] = nil
    timers.advance(by: RunExecutorTests.second)
    let states = try states()
    #expect(begun == ["h 1"])
    #expect(states == ["superseded"])
  }

  @Test func aRetryThatCouldNotBeginIsStillSuperseded() throws {
    define { $0.retryCount = 1 }
    try plan("1")
    try end(.failed)
    host.beginErrors = [SpawnError(step: .create, code: EAGAIN)]
    timers.advance(by: RunExecutorTests.second)
    #expect(host.discarded == 1)
    try commit([event("2", .started)], [])
    let states = try states()
    #expect(states == ["superseded"])
  }

  @Test func aFailureIsNotTriedAgainIfTheUnitHasTurnedBack() throws {
    define {
      $0.retryCount = 1
      $0.onHookFailure = "g"
    }
    host.definitions["g"] = HookDefinition()
    executor.callbacks.hasTurnedBack = { $0.id == "1" }
    try plan("1")
    try end(.failed, .exited(1))
    #expect(try states() == ["superseded"] && attempts() == ["1 failed"])
    #expect(try reason()?.hasPrefix("it failed, and is not tried again, ") == true)
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(begun == ["h 1"])
  }

  // MARK: OnHookFailure=

  @Test func aFailureIsAnswered() throws {
    define { $0.onHookFailure = "alarm" }
    host.definitions["alarm"] = HookDefinition()
    let run = try plan("1")
    try plan("2")
    try end(.failed, .exited(1))
    // In the order of the runs of the unit.
    #expect(begun == ["h 1", "h 2"])
    try end(.succeeded)
    #expect(begun == ["h 1", "h 2", "alarm 1"])
    #expect(host.begun.last?.run.failed == Run.FailedRun(id: run.id, hook: "h"))
    #expect(
      shown.texts.contains(
        "Hook h failed, status 1; hook alarm is run for this failure (OnHookFailure=): a.service stopped (run 1)."))
    try end(.succeeded)
    #expect(try states() == ["failed", "succeeded", "succeeded"])
    #expect(executor.isIdle)
  }

  @Test func onlyTheLastFailureIsAnswered() throws {
    define {
      $0.onHookFailure = "alarm"
      $0.retryCount = 1
    }
    host.definitions["alarm"] = HookDefinition()
    try plan("1")
    try end(.failed)
    #expect(begun == ["h 1"])
    timers.advance(by: RunExecutorTests.second)
    try end(.timedOut)
    #expect(begun == ["h 1", "h 1", "alarm 1"])
  }

  @Test func aParallelHookAnswersBesideOtherRunsOfTheUnit() throws {
    define { $0.onHookFailure = "alarm" }
    define("alarm") { $0.parallel = true }
    try plan("1")
    try plan("2")
    try end(.failed)
    #expect(Set(begun) == ["h 1", "h 2", "alarm 1"])
  }

  @Test func aHookThatCannotBeOpenedIsNotAnswered() throws {
    // Its definition is not known, then.
    define { $0.onHookFailure = "alarm" }
    host.definitions["alarm"] = HookDefinition()
    host.errors["h"] = HookError(.unusable, "broken")
    try plan("1")
    timers.advance(by: RunExecutorTests.second)
    #expect(try states() == ["failed"])
    #expect(begun.isEmpty)
  }

  @Test(arguments: [
    ("alarm", "Hook h failed; no hook is run for this failure: there is no hook 'alarm': "),
    (
      "h",
      "Hook h failed; no hook is run for this failure: its OnHookFailure= closes the cycle h → h, which ends here: "
    ),
  ])
  func aFailureThatIsNotAnsweredIsReportedWithTheReason(name: String, text: String) throws {
    define { $0.onHookFailure = name }
    try plan("1")
    try end(.failed)
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["h 1"] && executor.isIdle)
    #expect(shown.texts.last == "\(text)a.service stopped (run 1).")
  }

  @Test func answersThatAnswerEachOtherEnd() throws {
    define { $0.onHookFailure = "i" }
    define("i") { $0.onHookFailure = "j" }
    define("j") { $0.onHookFailure = "h" }
    try plan("1")
    for _ in 0..<3 { try end(.failed) }
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(begun == ["h 1", "i 1", "j 1"])
    #expect(shown.texts.last?.contains("closes the cycle h → i → j → h, which ends here") == true)
  }

  // MARK: Ends

  @Test func drainingStartsNothing() throws {
    define { $0.retryCount = 1 }
    try plan("1")
    try plan("2")
    try plan("retried", unit: "b.service")
    try end(.failed)
    executor.drain()
    #expect(executor.interruptRuns(actingOn: "x.service").isEmpty)
    try plan("3", unit: "c.service")
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(begun == ["h 1", "h retried"])
    host.begun[0].onOutcome?(.init(state: .succeeded))
    host.begun[0].onRelease?()
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(begun == ["h 1", "h retried"])
    #expect(executor.isQuiet && executor.isEmpty && executor.isWritten)
    // They are left for the next start.
    #expect(try states() == ["succeeded", "pending", "pending", "pending"] && open() == 3)
  }

  @Test(arguments: [(true, 1), (false, 0)] as [(Bool, Int64)])
  func whatIsCutOffIsRunAgainAtTheNextStart(rerun: Bool, open: Int64) throws {
    define { $0.rerunInterrupted = rerun }
    try plan("1")
    executor.drain()
    executor.interruptAll()
    #expect(host.begun[0].isInterrupted)
    try end(.interrupted)
    #expect(try states() == ["interrupted"] && self.open() == open)
    #expect(try ledger.openRuns(owner: RunOwner.follow, after: 0, limit: 9).map(\.attempt) == (rerun ? [2] : []))
    #expect(executor.isQuiet)
  }

  @Test func onlyRunsOfHooksThatActOnAUnitAreInterruptedForIt() throws {
    try plan("1")
    try plan("2", unit: "b.service")
    host.begun[1].units = ["journalhook.service"]
    #expect(executor.interruptRuns(actingOn: "journalhook.service").map(\.event.id) == ["2"])
    #expect(host.begun.map(\.isInterrupted) == [false, true])
  }

  @Test func theOutcomeIsReportedOnce() throws {
    define { $0.retryCount = 1 }
    var outcomes: [String] = []
    executor.callbacks.onOutcome = { outcomes.append("\($0.event.id) \($0.attempt) \($1.state.rawValue)") }
    try plan("1")
    try end(.failed)
    #expect(outcomes.isEmpty, "it is tried again")
    timers.advance(by: RunExecutorTests.second)
    try end(.failed)
    #expect(outcomes == ["1 2 failed"])
  }

  // MARK: A ledger that refuses

  /// How a ledger refuses to be written.
  enum Refusal: String, Sendable, CaseIterable {
    case readOnly, lockedByAnother
  }

  /// Makes the ledger refuse; what is returned lets it be written again.
  private func refuse(_ refusal: Refusal) throws -> () throws -> Void {
    switch refusal {
    case .readOnly:
      try ledger.database.execute("PRAGMA query_only=ON")
      return { [ledger] in try ledger.database.execute("PRAGMA query_only=OFF") }
    case .lockedByAnother:
      ledger.limitWaits()
      let other = try SQLiteDatabase(path: ledger.database.path)
      try other.query("BEGIN IMMEDIATE")
      return { try other.query("ROLLBACK") }
    }
  }

  @Test(arguments: Refusal.allCases) func aRunThatCannotBeWrittenDownDoesNotBegin(_ refusal: Refusal) throws {
    let run = event("1")
    let planned = try ledger.commit(
      Ledger.Step(planned: [PlannedRun(event: run, hook: "h", mode: .live)], events: [run]), owner: RunOwner.follow,
      now: timers.realtime
    ).runs
    let allow = try refuse(refusal)
    executor.add(planned)
    timers.advance(by: 3 * RunExecutorTests.second)
    #expect(begun.isEmpty && host.discarded == 4)
    #expect(shown.texts.count == 1 && shown.texts[0].hasPrefix("Cannot begin run 1 of hook h now: "))
    try allow()
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["h 1"])
    #expect(try states() == ["running"] && attempts() == ["1 running"])
  }

  @Test(arguments: Refusal.allCases) func anOutcomeThatCannotBeWrittenDownIsKept(_ refusal: Refusal) throws {
    try plan("1")
    try plan("2")
    try plan("3", unit: "b.service")
    let allow = try refuse(refusal)
    let attempt = host.begun[0]
    attempt.onOutcome?(.init(state: .succeeded, exit: .exited(0)))
    attempt.onRelease?()
    timers.advance(by: 3 * RunExecutorTests.second)
    #expect(!executor.isWritten && !executor.isQuiet && !executor.mayBegin)
    // No run begins that might be done twice after a crash.
    #expect(begun == ["h 1", "h 3"])
    #expect(shown.texts.filter { $0.hasSuffix("Runs wait until it can be written.") }.count == 1)
    try allow()
    timers.advance(by: RunExecutorTests.second)
    #expect(executor.isWritten)
    #expect(try states() == ["succeeded", "running", "running"])
    #expect(begun == ["h 1", "h 3", "h 2"])
    #expect(try ledger.containers(owner: RunOwner.follow).sorted() == ["/place/2", "/place/3"])
  }

  @Test(arguments: Refusal.allCases) func aRetryThatCannotBeWrittenDownIsNotLost(_ refusal: Refusal) throws {
    define { $0.retryCount = 1 }
    // What `follow` does when something has been written or has ended.
    executor.callbacks.onProgress = { [unowned executor] in executor.due.scheduleNext() }
    try plan("1")
    let allow = try refuse(refusal)
    try end(.failed)
    timers.advance(by: 5 * RunExecutorTests.second)
    #expect(begun == ["h 1"])
    try allow()
    timers.advance(by: 5 * RunExecutorTests.second)
    #expect(begun == ["h 1", "h 1"])
    #expect(try attempts() == ["1 failed", "2 running"])
  }

  @Test(arguments: Refusal.allCases) func waitsGoOnWhenTheLedgerCanBeWrittenAgain(_ refusal: Refusal) throws {
    // Nobody else looks when the next run is due, as in a replay that has read all.
    define { $0.retryCount = 1 }
    try plan("1")
    let allow = try refuse(refusal)
    try end(.failed)
    timers.advance(by: 5 * RunExecutorTests.second)
    try allow()
    timers.advance(by: 600 * RunExecutorTests.second)
    #expect(executor.isWritten && !executor.due.isWaiting)
    #expect(begun == ["h 1", "h 1"])
  }

  @Test func whoeverWaitsForDueRunsHearsThatThereAreNone() throws {
    // A replay ends when nothing waits. The ledger cannot say so at first.
    var isWaiting = true
    executor.callbacks.onProgress = { [unowned executor] in isWaiting = executor.due.isWaiting }
    try ledger.database.execute("ALTER TABLE runs RENAME TO gone")
    executor.due.schedule()
    timers.advance(by: 5 * RunExecutorTests.second)
    #expect(isWaiting && executor.due.isWaiting)
    try ledger.database.execute("ALTER TABLE gone RENAME TO runs")
    timers.advance(by: 2 * RunExecutorTests.second)
    #expect(!isWaiting)
  }

  @Test(arguments: Refusal.allCases) func anAnswerThatCannotBeWrittenDownIsNotLost(_ refusal: Refusal) throws {
    define { $0.onHookFailure = "alarm" }
    host.definitions["alarm"] = HookDefinition()
    try plan("1")
    let allow = try refuse(refusal)
    try end(.failed)
    timers.advance(by: 5 * RunExecutorTests.second)
    #expect(begun == ["h 1"])
    try allow()
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["h 1", "alarm 1"])
    try end(.succeeded)
    #expect(try states() == ["failed", "succeeded"])
  }

  @Test(arguments: Refusal.allCases) func aRunThatIsDueWaitsForTheLedger(_ refusal: Refusal) throws {
    let down = event("1")
    var planned = PlannedRun(event: down, hook: "h", mode: .live)
    planned.settle = RunExecutorTests.second
    planned.due = DueTime(RunExecutorTests.second, after: down, boot: "b", now: timers.now)
    try commit([down], [planned])
    let allow = try refuse(refusal)
    timers.advance(by: 5 * RunExecutorTests.second)
    #expect(begun.isEmpty)
    try allow()
    timers.advance(by: RunExecutorTests.second)
    #expect(begun == ["h 1"])
  }
}

/// What was shown to somebody.
private final class Lines {
  var texts: [String] = []
}
