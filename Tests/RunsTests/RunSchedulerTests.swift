import TestSupport
import Testing

@testable import Lifecycle
@testable import Runs

/// Which run begins next, as stories: what happens to a scheduler, and what it answers.
@Suite struct RunSchedulerTests {
  enum Step: Sendable {
    /// A run is in the ledger and is given to the scheduler.
    case add(Int64, _ hook: String = "h", unit: String = "a.service", machine: String = "m", parallel: Bool = false)
    /// All runs begin that may: exactly these, in this order.
    case begin([Int64])
    /// A run has its outcome. `reads` says whether runs of its series have to be read from the ledger now.
    case outcome(Int64, isRetried: Bool = false, reads: Bool = false)
    /// Nothing is left of a run.
    case release(Int64)
    /// A run has its outcome, and nothing is left of it.
    case end(Int64)
    /// A run cannot begin now.
    case putOff(Int64)
    /// The moment is over for which a run was put off.
    case resume(Int64, begins: Bool)
    /// An event has superseded a run that waited.
    case supersede(Int64, reads: Bool = false)
    /// A run of an earlier process is to be tried again.
    case hold(Int64)
    /// Runs of the series of this run were read from the ledger, and are added next.
    case takeUp(Int64)
    /// More runs of the series of this run are in the ledger.
    case leave(Int64)
    case limit(Int)
    case shutdown(Bool)
    case drain
    /// How many runs wait for their turn.
    case waiting(Int)
    case idle(Bool)
    /// Whether the scheduler has a run.
    case knows(Int64, Bool)
  }

  struct Story: Sendable, CustomTestStringConvertible {
    var name: String
    var limit = 10
    var steps: [Step]
    var testDescription: String { name }

    init(_ name: String, limit: Int = 10, _ steps: [Step]) {
      self.name = name
      self.limit = limit
      self.steps = steps
    }
  }

  /// The hook whose definition says `DuringShutdown=yes`.
  private static let shutdownHook = "during-shutdown"

  private func play(_ story: Story) {
    var scheduler = RunScheduler(limit: story.limit)
    var runs: [Int64: Run] = [:]
    for (index, step) in story.steps.enumerated() {
      let place: Comment = "\(story.name), step \(index + 1): \(step)"
      /// The run of a number; one that was not added is of hook h for a.service.
      func run(_ id: Int64) -> Run {
        runs[id] ?? Run(id: id, hook: "h", event: event(.stopped, "a.service"), mode: .live, attempt: 1)
      }
      switch step {
      case .add(let id, let hook, let unit, let machine, let isParallel):
        var event = event(.stopped, unit)
        event.machine = machine
        let run = Run(id: id, hook: hook, event: event, mode: .live, attempt: 1)
        runs[id] = run
        scheduler.add(run, isParallel: isParallel)
      case .begin(let expected):
        var begun: [Int64] = []
        while let next = scheduler.next(runsDuringShutdown: { $0.hook == RunSchedulerTests.shutdownHook }) {
          begun.append(next.id)
        }
        #expect(begun == expected, place)
      case .outcome(let id, let isRetried, let reads):
        let series = scheduler.ended(run(id), isRetried: isRetried)
        #expect(series == (reads ? RunSeries(run(id)) : nil), place)
      case .release(let id): scheduler.released(run(id))
      case .end(let id):
        #expect(scheduler.ended(run(id), isRetried: false) == nil, place)
        scheduler.released(run(id))
      case .putOff(let id): scheduler.putOff(run(id))
      case .resume(let id, let begins): #expect(scheduler.resume(run(id)) == begins, place)
      case .supersede(let id, let reads):
        #expect(scheduler.superseded(run(id)) == (reads ? RunSeries(run(id)) : nil), place)
      case .hold(let id): scheduler.hold(run(id))
      case .takeUp(let id): scheduler.takeUp(RunSeries(run(id)))
      case .leave(let id): scheduler.leave(RunSeries(run(id)))
      case .limit(let limit):
        scheduler.limit = limit
        #expect(scheduler.limit == max(1, limit), place)
      case .shutdown(let isShutdown): scheduler.isShutdown = isShutdown
      case .drain:
        scheduler.drain()
        #expect(scheduler.isDraining, place)
      case .waiting(let count): #expect(scheduler.waitingCount == count, place)
      case .idle(let isIdle): #expect(scheduler.isIdle == isIdle, place)
      case .knows(let id, let isKnown): #expect(scheduler.knows(id) == isKnown, place)
      }
    }
  }

  // MARK: Order

  static let order = [
    Story(
      "the runs of one unit go one at a time, in the order of their numbers",
      [
        .add(1), .add(3), .add(2), .waiting(3), .begin([1]), .end(1), .begin([2]), .end(2), .begin([3]), .waiting(0),
      ]),
    Story(
      "different hooks for one unit wait for each other",
      [.add(1, "g"), .add(2, "h"), .begin([1]), .end(1), .begin([2])]),
    Story(
      "runs of different units go side by side",
      [.add(1), .add(2, unit: "b.service"), .add(3, unit: "c.service"), .begin([1, 2, 3])]),
    Story(
      "units of the same name on different machines are different units",
      [.add(1), .add(2, machine: "n"), .begin([1, 2])]),
    Story(
      "the outcome lets the next run begin, even if something is left of the one before",
      [.add(1), .add(2), .begin([1]), .outcome(1), .begin([2]), .idle(false), .release(1), .end(2), .idle(true)]),
    Story(
      "a run that is given twice is done once",
      [.add(1), .add(1), .waiting(1), .begin([1]), .add(1), .waiting(0), .end(1), .begin([])]),
  ]

  @Test(arguments: order) func runsOfAUnitKeepTheirOrder(_ story: Story) { play(story) }

  static let lanes = [
    Story(
      "a hook with Parallel=yes waits for no other hook",
      [.add(1, "g"), .add(2, "p", parallel: true), .add(3, "q", parallel: true), .begin([1, 2, 3])]),
    Story(
      "its own runs for one unit still go one at a time",
      [.add(1, "p", parallel: true), .add(2, "p", parallel: true), .begin([1]), .end(1), .begin([2])]),
    Story(
      "its runs for different units go side by side",
      [.add(1, "p", parallel: true), .add(2, "p", unit: "b.service", parallel: true), .begin([1, 2])]),
    Story(
      "no other hook waits for it",
      [.add(1, "p", parallel: true), .begin([1]), .add(2, "g"), .begin([2])]),
  ]

  @Test(arguments: lanes) func parallelHooksHaveLanesOfTheirOwn(_ story: Story) { play(story) }

  static let limits = [
    Story(
      "no more runs are under way than the limit says", limit: 2,
      [
        .add(1, unit: "a.service"), .add(2, unit: "b.service"), .add(3, unit: "c.service"), .begin([1, 2]),
        .waiting(1), .end(2), .begin([3]),
      ]),
    Story(
      "units have their turns in the order in which they began to wait", limit: 1,
      [
        .add(1), .add(2), .add(3, unit: "b.service"), .begin([1]), .end(1), .begin([3]), .end(3), .begin([2]),
      ]),
    Story("a limit of 0 counts as 1", limit: 0, [.add(1), .add(2, unit: "b.service"), .begin([1])]),
    Story(
      "a higher limit lets more runs begin", limit: 1,
      [.add(1), .add(2, unit: "b.service"), .begin([1]), .limit(2), .begin([2])]),
    Story(
      "a lower limit ends no run", limit: 2,
      [
        .add(1), .add(2, unit: "b.service"), .add(3, unit: "c.service"), .begin([1, 2]), .limit(1), .end(1),
        .begin([]), .end(2), .begin([3]),
      ]),
    Story(
      "a limit below 1 that is set later counts as 1", limit: 2,
      [.limit(-3), .add(1), .add(2, unit: "b.service"), .begin([1])]),
  ]

  @Test(arguments: limits) func theLimitHolds(_ story: Story) { play(story) }

  // MARK: Runs that cannot begin

  static let putOff = [
    Story(
      "a run that is put off keeps its place in its lane",
      [
        .add(1), .add(2), .begin([1]), .putOff(1), .begin([]), .waiting(1), .resume(1, begins: true), .begin([]),
        .end(1), .begin([2]),
      ]),
    Story(
      "other lanes go on meanwhile",
      [.add(1), .begin([1]), .putOff(1), .add(2, unit: "b.service"), .begin([2])]),
    Story(
      "a run may be put off any number of times",
      [
        .add(1), .begin([1]), .putOff(1), .resume(1, begins: true), .putOff(1), .resume(1, begins: true), .end(1),
        .idle(true),
      ]),
    Story(
      "a run that is put off is known, and not idle",
      [.add(1), .begin([1]), .putOff(1), .knows(1, true), .idle(false), .add(1), .waiting(0)]),
    Story("a run that was not put off is not resumed", [.add(1), .resume(1, begins: false), .begin([1])]),
    Story(
      "it is resumed once", [.add(1), .begin([1]), .putOff(1), .resume(1, begins: true), .resume(1, begins: false)]),
    Story(
      "while the system goes down it waits for its turn again, and lets others pass",
      [
        .add(1), .add(2, shutdownHook), .begin([1]), .putOff(1), .shutdown(true), .begin([]),
        .resume(1, begins: false), .begin([2]), .end(2), .begin([]), .shutdown(false), .begin([1]),
      ]),
    Story(
      "a run of a hook with DuringShutdown=yes has its turn at once then",
      [.add(1, shutdownHook), .begin([1]), .putOff(1), .shutdown(true), .resume(1, begins: false), .begin([1])]),
  ]

  @Test(arguments: putOff) func aRunThatCannotBeginIsPutOff(_ story: Story) { play(story) }

  static let shutdown = [
    Story(
      "while the system goes down no other runs begin",
      [.shutdown(true), .add(1), .add(2, unit: "b.service"), .begin([]), .waiting(2), .idle(false)]),
    Story(
      "runs of hooks with DuringShutdown=yes pass those that wait for the same unit",
      [.shutdown(true), .add(1), .add(2, shutdownHook), .add(3), .begin([2]), .end(2), .begin([])]),
    Story(
      "they pass other units, too, in the order of their numbers",
      [
        .shutdown(true), .add(1), .add(2, unit: "b.service"), .add(3, shutdownHook, unit: "b.service"),
        .add(4, shutdownHook, unit: "b.service"), .begin([3]), .end(3), .begin([4]),
      ]),
    Story(
      "they wait for a run of the same unit that is under way",
      [.add(1), .add(2, shutdownHook), .begin([1]), .shutdown(true), .begin([]), .end(1), .begin([2])]),
    Story(
      "a shutdown that is called off lets all begin",
      [.shutdown(true), .add(1), .add(2), .begin([]), .shutdown(false), .begin([1]), .end(1), .begin([2])]),
  ]

  @Test(arguments: shutdown) func theShutdownGateLetsSomeHooksPass(_ story: Story) { play(story) }

  // MARK: Retries

  static let retries = [
    Story(
      "a retry keeps back the later runs of its hook for its unit, which are left in the ledger",
      [
        .add(1), .add(2), .begin([1]), .outcome(1, isRetried: true), .release(1), .begin([]), .waiting(0),
        .knows(2, false), .idle(true),
      ]),
    Story(
      "so are those that come while it waits",
      [.add(1), .begin([1]), .outcome(1, isRetried: true), .release(1), .add(2), .knows(2, false), .begin([])]),
    Story(
      "the runs of another hook for the unit go on",
      [.add(1, "h"), .add(2, "g"), .begin([1]), .outcome(1, isRetried: true), .release(1), .begin([2])]),
    Story(
      "the runs of the hook for another unit go on",
      [.add(1), .begin([1]), .outcome(1, isRetried: true), .release(1), .add(2, unit: "b.service"), .begin([2])]),
    Story(
      "when the retry has its outcome, the runs that were left are read from the ledger",
      [
        .add(1), .add(2), .begin([1]), .outcome(1, isRetried: true), .release(1), .add(1), .begin([1]),
        .outcome(1, reads: true), .takeUp(1), .add(2), .release(1), .begin([2]), .end(2), .idle(true),
      ]),
    Story(
      "nothing is read if nothing was left",
      [.add(1), .begin([1]), .outcome(1, isRetried: true), .release(1), .add(1), .begin([1]), .end(1), .idle(true)]),
    Story(
      "a retry that is tried once more keeps its series back",
      [
        .add(1), .add(2), .begin([1]), .outcome(1, isRetried: true), .release(1), .add(1), .begin([1]),
        .outcome(1, isRetried: true), .release(1), .add(2), .begin([]), .add(1), .begin([1]),
        .outcome(1, reads: true),
      ]),
    Story(
      "a retry of an earlier process keeps its series back",
      [.hold(1), .add(2), .begin([]), .knows(2, false), .add(1), .begin([1]), .outcome(1, reads: true)]),
    Story(
      "a retry of an earlier process takes what waits out of its lane",
      [.add(2), .add(3, "g"), .hold(1), .waiting(1), .begin([3])]),
    Story(
      "as long as runs of the series are in the ledger, later ones are left there, too",
      [
        .add(1), .add(2), .begin([1]), .outcome(1, isRetried: true), .release(1), .add(1), .begin([1]),
        .outcome(1, reads: true), .release(1), .takeUp(1), .add(2), .leave(1), .add(9), .knows(9, false), .begin([2]),
        .outcome(2, reads: true),
      ]),
    Story(
      "a portion of the series is done before more is read",
      [
        .leave(1), .hold(1), .add(1), .begin([1]), .outcome(1, reads: true), .release(1), .takeUp(1), .add(2), .add(3),
        .leave(1), .begin([2]), .outcome(2), .release(2), .begin([3]), .outcome(3, reads: true),
      ]),
  ]

  @Test(arguments: retries) func aRetryKeepsBackOnlyItsSeries(_ story: Story) { play(story) }

  static let superseded = [
    Story(
      "a run that waits and is superseded never begins",
      [.add(1), .add(2), .begin([1]), .supersede(2), .waiting(0), .knows(2, false), .end(1), .begin([]), .idle(true)]),
    Story(
      "those that wait after it go on",
      [.add(1), .add(2), .add(3), .supersede(1), .begin([2]), .end(2), .begin([3])]),
    Story(
      "a retry that waits in the ledger and is superseded lets its series go",
      [
        .add(1), .add(2), .begin([1]), .outcome(1, isRetried: true), .release(1), .supersede(1, reads: true),
        .takeUp(1), .add(2), .begin([2]),
      ]),
    Story(
      "so does a retry that waits for its turn",
      [
        .add(1), .add(2), .add(3, "g"), .begin([1]), .outcome(1, isRetried: true), .release(1), .begin([3]), .add(1),
        .supersede(1, reads: true), .takeUp(1), .add(2), .end(3), .begin([2]),
      ]),
    Story(
      "a superseded retry without later runs leaves nothing to be read",
      [.add(1), .begin([1]), .outcome(1, isRetried: true), .release(1), .supersede(1), .add(2), .begin([2])]),
    Story(
      "a run that the scheduler does not have may be superseded",
      [.add(1), .supersede(7), .begin([1])]),
  ]

  @Test(arguments: superseded) func aSupersededRunLetsItsSeriesGo(_ story: Story) { play(story) }

  @Test func aRunThatIsPutOffAndSupersededDoesNotBegin() {
    // A retry can be superseded until it begins, and so can one that could not begin a moment ago.
    play(
      Story(
        "put off and superseded",
        [
          .add(1), .begin([1]), .outcome(1, isRetried: true), .release(1), .add(1), .begin([1]), .putOff(1),
          .supersede(1), .knows(1, false), .resume(1, begins: false), .add(2), .begin([2]), .end(2), .idle(true),
        ]))
  }

  @Test func aRunOfWhichOnlySomethingIsLeftHoldsNothingBack() {
    // The attempt of run 1 has left a process behind, which takes its time to be ended.
    play(
      Story(
        "ended and not released",
        [
          .add(1), .begin([1]), .outcome(1), .add(2), .add(3), .begin([2]), .outcome(2, isRetried: true),
          .release(2), .supersede(2, reads: true),
        ]))
  }

  @Test func aRetryWhoseTimeComesBeforeItIsReleasedIsDone() {
    // What a failed attempt has left behind may take longer to be ended than RetryDelaySec=.
    play(
      Story(
        "due before it is released",
        [
          .add(1), .begin([1]), .outcome(1, isRetried: true), .add(1), .release(1), .begin([1]),
        ]))
  }

  // MARK: The end

  static let ends = [
    Story("nothing to do is idle", [.idle(true), .begin([])]),
    Story(
      "a run is idle when nothing is left of it",
      [.add(1), .idle(false), .begin([1]), .idle(false), .outcome(1), .idle(false), .release(1), .idle(true)]),
    Story("draining starts no more runs", [.add(1), .add(2), .begin([1]), .drain, .end(1), .begin([]), .waiting(1)]),
    Story(
      "what is added while draining waits",
      [.drain, .add(1), .waiting(1), .knows(1, true), .begin([]), .idle(false)]),
    Story(
      "what was put off is not resumed while draining",
      [.add(1), .begin([1]), .putOff(1), .drain, .resume(1, begins: false), .knows(1, false), .idle(true)]),
    Story(
      "draining counts more than a shutdown hook",
      [.shutdown(true), .add(1, shutdownHook), .drain, .begin([])]),
  ]

  @Test(arguments: ends) func drainingAndIdling(_ story: Story) { play(story) }
}
