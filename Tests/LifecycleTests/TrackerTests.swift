import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// What one manager said, in the order in which it said it, and the events that it tells.
///
/// A line of a story is `KIND [unit=…] [inv=…] [job=ID/TYPE/RESULT] [ur=RESULT] [at=MICROSECONDS] [boot=…] [uid=USER] [stays=yes|no] [by=SOURCE] ["text"]`.
@Suite struct TrackerTests {
  struct Story: CustomTestStringConvertible {
    var name: String
    var said: [String]
    var events: [String]
    var testDescription: String { name }

    init(_ name: String, _ said: [String], _ events: [String]) {
      self.name = name
      self.said = said
      self.events = events
    }
  }

  static let stories = [
    Story(
      "a replaced stop job never logs STOPPED",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STARTED inv=b job=3/start/done",
      ],
      ["started", "stopping", "stopped success", "started"]),
    Story(
      "what the bus has told adds nothing when the journal tells it late",
      [
        "STARTED inv=a by=bus", "SUCCESS inv=a by=bus", "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop",
        "SUCCESS inv=a", "STOPPED inv=a job=2/stop/done", "STARTED inv=b job=3/start/done",
      ],
      ["started bus", "stopped success bus", "started"]),
    Story(
      "nor does that of many invocations, and the last one's end is told",
      ["STARTED inv=a job=1/start/done"]
        + zip("abcd", "bcde").flatMap { ["SUCCESS inv=\($0) by=bus", "STARTED inv=\($1) by=bus"] }
        + zip("abcd", "bcde").flatMap { ["STOPPING inv=\($0)", "SUCCESS inv=\($0)", "STARTED inv=\($1)"] }
        + ["STOPPING inv=e job=9/stop", "SUCCESS inv=e", "STOPPED inv=e job=9/stop/done"],
      ["started"] + (0..<4).flatMap { _ in ["stopped success bus", "started bus"] } + ["stopping", "stopped success"]),
    Story(
      "a oneshot and a failure that the bus has told, and the restart that only the journal tells",
      [
        "STARTING inv=a by=bus", "SUCCESS inv=a by=bus", "STARTED inv=a by=bus",
        "STARTING inv=a job=1/start", "SUCCESS inv=a", "STARTED inv=a job=1/start/done",
        "STARTED inv=b by=bus", "FAILURE inv=b ur=signal by=bus", "STARTED inv=b job=2/start/done", "EXIT inv=b",
        "FAILURE inv=b ur=signal", "SCHEDULED inv=b", "STARTED inv=c job=3/start/done",
      ],
      [
        "starting bus", "finished success bus", "started bus", "stopped signal bus", "failed signal bus", "restarting",
        "started auto", "restarted",
      ]),
    Story(
      "the first start that succeeds, after one that a dependency has failed",
      ["FAILED job=1/start/dependency", "STARTED inv=a job=2/start/done", "SUCCESS inv=a"],
      ["failed dependency", "started", "stopped success"]),
    Story(
      "and of a unit that logs STARTING",
      [
        "FAILED job=1/start/dependency", "STARTING inv=a job=2/start", "STARTED inv=a job=2/start/done",
        "SUCCESS inv=a",
      ],
      ["failed dependency", "starting", "started", "stopped success"]),
    Story(
      "after one that a condition has refused",
      [
        "SKIPPED", "STARTED job=1/start/done", "STARTING inv=a job=2/start", "STARTED inv=a job=2/start/done",
        "SUCCESS inv=a",
      ],
      ["skipped", "starting", "started", "stopped success"]),
    Story(
      "a restart whose stop is instantaneous logs STOPPING last",
      [
        "STARTING inv=a job=1/start", "STARTED inv=a job=1/start/done", "SUCCESS inv=a",
        "STOPPED inv=a job=2/restart/done",
        "STOPPING inv=a job=2/stop", "STARTING inv=b job=2/start", "STARTED inv=b job=2/start/done",
      ],
      [
        "starting", "started", "stopping", "stopped success restart", "starting", "started restart",
        "restarted restart",
      ]),
    Story(
      "that of a target has no SUCCESS",
      [
        "STARTED inv=a job=1/start/done", "STOPPED inv=a job=2/restart/done", "STOPPING inv=a job=2/stop",
        "STARTED inv=b job=2/start/done", "STOPPED inv=b job=3/stop/done",
      ],
      ["started", "stopping", "stopped success restart", "started restart", "restarted restart", "stopped success"]),
    Story(
      "first seen by such a restart, and once more",
      [
        "SUCCESS inv=a", "STOPPED inv=a job=2/restart/done", "STOPPING inv=a job=2/stop",
        "STARTED inv=b job=2/start/done", "SUCCESS inv=b", "STOPPED inv=b job=3/restart/done",
        "STOPPING inv=b job=3/stop", "STARTED inv=c job=3/start/done",
      ],
      [
        "stopping", "stopped success restart", "started restart", "restarted restart", "stopping",
        "stopped success restart", "started restart", "restarted restart",
      ]),
    Story(
      "such a restart of a version that numbers no jobs",
      [
        "STARTED inv=a job=-/start/done", "SUCCESS inv=a", "STOPPED inv=a job=-/restart/done", "STOPPING inv=a",
        "STARTED inv=b job=-/start/done",
      ],
      ["started", "stopping", "stopped success restart", "started restart", "restarted restart"]),
    Story(
      "up to 234, too",
      ["STARTED job=-/-/done", "STOPPED job=-/-/done", "STOPPING", "STARTED job=-/-/done"],
      ["started", "stopping", "stopped success restart", "started restart", "restarted restart"]),
    Story(
      "an instantaneous stop, and a start behind it",
      [
        "STARTED inv=a job=1/start/done", "SUCCESS inv=a", "STOPPED inv=a job=2/stop/done",
        "STARTED inv=b job=3/start/done",
      ],
      ["started", "stopped success", "started"]),
    Story(
      "an instantaneous restart that is skipped, or fails",
      [
        "STARTED inv=a job=1/start/done", "SUCCESS inv=a", "STOPPED inv=a job=2/restart/done",
        "STOPPING inv=a job=2/stop",
        "STARTED inv=a job=2/start/done \"u.service was skipped because of an unmet condition check.\"",
        "STARTED unit=v inv=x job=3/start/done", "SUCCESS unit=v inv=x", "STOPPED unit=v inv=x job=4/restart/done",
        "STOPPING unit=v inv=x job=4/stop", "STARTING unit=v inv=y job=4/start", "FAILURE unit=v inv=y ur=exit-code",
        "FAILED unit=v inv=y job=4/start/failed",
      ],
      [
        "started", "stopping", "stopped success restart", "stopped success restart-failed", "skipped", "v started",
        "v stopping", "v stopped success restart", "v starting", "v stopped success restart-failed",
        "v failed exit-code",
      ]),
    Story(
      "an instantaneous restart whose STOPPING, STOPPED or SUCCESS was lost",
      [
        "STARTED inv=a job=1/start/done", "SUCCESS inv=a", "STOPPED inv=a job=2/restart/done",
        "STARTED inv=b job=2/start/done", "SUCCESS inv=b", "STOPPING inv=b job=3/stop",
        "STARTED inv=c job=3/start/done", "STOPPED inv=c job=4/restart/done", "STOPPING inv=c job=4/stop",
        "STARTED inv=d job=4/start/done",
      ],
      ["started"]
        + [
          ["stopped success restart"], ["stopping", "stopped success restart"],
          ["stopping", "stopped success restart"],
        ]
        .flatMap { $0 + ["started restart", "restarted restart"] }),
    Story(
      "what such a restart has left open shows with the next invocation's stop",
      [
        "STARTED inv=a job=1/start/done", "SUCCESS inv=a", "STOPPED inv=a job=2/restart/done",
        "STOPPING inv=b job=3/stop", "SUCCESS inv=b", "STOPPED inv=b job=3/stop/done",
      ],
      [
        "started", "stopped success restart", "stopped success restart-failed", "stopping", "stopped success",
      ]),
    Story(
      "such a stop waits for 100 ms of journal time",
      [
        "STARTED inv=a job=1/start/done at=1", "SUCCESS inv=a at=1000",
        "STARTED unit=v inv=x job=3/start/done at=100999",
        "STARTED unit=w inv=y job=4/start/done at=101000", "STOPPED inv=a job=2/restart/done at=101001",
        "STOPPING inv=a job=2/stop at=101001", "STARTED inv=b job=2/start/done at=101002",
      ],
      ["started", "v started", "stopped success", "w started", "stopping", "started"]),
    Story(
      "a start that the journal tells late, when the bus has told the end",
      ["STARTING inv=a job=1/start", "STARTED inv=a by=bus", "SUCCESS inv=a by=bus", "STARTED inv=a job=1/start/done"],
      ["starting", "started bus", "stopped success bus"]),
    Story(
      "invocations that the bus has told of, and the journal tells late",
      [
        "STARTED inv=a job=1/start/done", "STARTED inv=b by=bus", "SUCCESS inv=b by=bus", "STARTED inv=c by=bus",
        "SUCCESS inv=a", "STARTED inv=b job=2/start/done", "SUCCESS inv=b", "STARTED inv=c job=3/start/done",
        "SUCCESS inv=c",
      ],
      ["started", "stopped success bus", "started bus", "stopped success bus", "started bus", "stopped success"]),
    Story(
      "a start that failed is no stop, although only its process and its end were logged",
      ["EXIT inv=a", "FAILURE inv=a ur=signal", "FAILED inv=a job=1/start/failed"], ["failed signal"]),
    Story(
      "starts without an invocation fail each by itself",
      [
        "STARTED inv=a job=1/start/done", "SUCCESS inv=a", "FAILED job=2/start/failed", "FAILED job=3/start/failed",
        "FAILED unit=v job=4/start/failed", "FAILED unit=v job=5/start/failed",
      ],
      ["started", "stopped success", "failed failed", "failed failed", "v failed failed", "v failed failed"]),
    Story(
      "a restart whose second half was called off",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STOPPED inv=a job=2/restart/done",
        "FAILED job=2/start/canceled by=bus", "STARTED inv=b job=3/start/done",
      ],
      ["started", "stopping", "stopped success restart", "stopped success restart-failed", "started"]),
    Story(
      "a start by hand is no restart, whatever went down before",
      [
        "STARTED inv=a job=1/start/done", "SUCCESS inv=a", "STARTING inv=b job=2/start", "FAILURE inv=b ur=exit-code",
        "FAILED inv=b job=2/start/failed", "SCHEDULED inv=b", "STARTING inv=c job=3/start",
        "STARTED inv=c job=3/start/done",
      ],
      ["started", "stopped success", "starting", "failed exit-code", "restarting", "starting", "started auto"]),
    Story(
      "a restart whose STOPPED was lost is one all the same",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STARTED inv=b job=2/start/done",
      ],
      ["started", "stopping", "stopped success restart", "started restart", "restarted restart"]),
    Story(
      "a restart whose start job was canceled and that came up all the same shows by its next stop",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STOPPED inv=a job=2/restart/done",
        "STARTING inv=b job=2/start", "STOPPING inv=b job=3/stop", "SUCCESS inv=b", "STOPPED inv=b job=3/restart/done",
        "STARTING inv=c job=3/start", "STARTED inv=c job=3/start/done",
      ],
      [
        "started", "stopping", "stopped success restart", "starting", "started restart", "restarted restart",
        "stopping",
        "stopped success restart", "starting", "started restart", "restarted restart",
      ]),
    Story(
      "up to 239 a unit that is still starting logs STOPPING, too",
      ["STARTING inv=a", "STOPPING inv=a", "SUCCESS inv=a"], ["starting", "stopping", "stopped success"]),
    Story(
      "a canceled stop job: told after 100 ms of journal time, by another unit's entry",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop at=1000", "SUCCESS inv=a at=2000",
        "STARTED unit=other inv=x job=3/start/done at=102000",
      ],
      ["started", "stopping", "stopped success", "other started"]),
    Story(
      "not before 100 ms",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop at=1000", "SUCCESS inv=a at=2000",
        "STARTED unit=other inv=x job=3/start/done at=101999",
      ],
      ["started", "stopping", "other started", "stopped success"]),
    Story(
      "an end that was not logged shows by the next start",
      [
        "STARTED inv=a job=1/start/done", "STARTED inv=b job=2/start/done", "STARTING inv=c job=3/start",
        "STARTED inv=c job=3/start/done", "SUCCESS inv=c", "STARTED inv=d job=4/start/done",
      ],
      [
        "started", "stopped success", "started", "stopped success", "starting", "started", "stopped success", "started",
      ]),
    Story(
      "oneshots of a user's manager, which logs no SUCCESS",
      [
        #"STARTING uid=1 unit=a inv=a job=1/start"#,
        #"STARTED uid=1 unit=a inv=a job=1/start/done stays=no "Finished A.""#,
        #"STARTED uid=1 unit=b inv=b job=2/start/done stays=yes "Finished B.""#,
        #"STOPPED uid=1 unit=b inv=b job=3/stop/done"#,
        #"STARTED uid=1 unit=c inv=c job=4/start/done "Finished C.""#,
        #"STARTED uid=1 unit=c inv=d job=5/start/done "Finished C.""#,
        #"STOPPING uid=1 unit=c inv=d job=6/stop"#, #"STOPPED uid=1 unit=c inv=d job=6/stop/done"#,
        #"STARTED uid=1 unit=d inv=e job=7/start/done "Started D.""#,
        // PID 1 tells.
        #"STARTED unit=e inv=f job=8/start/done "Finished E.""#,
      ],
      [
        "a starting", "a finished success", "b started", "b stopped success", "c finished success",
        "c finished success", "c stopping", "c stopped success", "d started", "e started",
      ]),
    Story(
      "a restart without SUCCESS and STOPPED",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "STARTED inv=b job=2/start/done",
      ],
      ["started", "stopping", "stopped success restart", "started restart", "restarted restart"]),
    Story(
      "a restart by hand that fails owes a stop",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STOPPED inv=a job=2/restart/done",
        "STARTING inv=b job=2/start", "EXIT inv=b", "FAILURE inv=b ur=exit-code", "FAILED inv=b job=2/start/failed",
      ],
      [
        "started", "stopping", "stopped success restart", "starting", "stopped success restart-failed",
        "failed exit-code",
      ]),
    Story(
      "a restart into the start limit",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STOPPED inv=a job=2/restart/done",
        "LIMIT inv=a", "FAILURE inv=a ur=start-limit-hit", "FAILED inv=a job=2/start/failed",
      ],
      ["started", "stopping", "stopped success restart", "stopped success restart-failed", "gave-up start-limit-hit"]),
    Story(
      "a restart that the shutdown cuts off",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STOPPED inv=a job=2/restart/done",
        "STARTED unit=other inv=x job=1/start/done boot=2",
      ],
      ["started", "stopping", "stopped success restart", "stopped success restart-failed", "other started"]),
    Story(
      "a restart whose start job was canceled and that is stopped",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STOPPED inv=a job=2/restart/done",
        "STARTING inv=b job=2/start", "STOPPED inv=b job=3/stop/done",
      ],
      ["started", "stopping", "stopped success restart", "starting", "stopped success restart-failed"]),
    Story(
      "a restart of a unit that is skipped then",
      [
        "STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "SUCCESS inv=a",
        "STOPPED inv=a job=2/restart/done",
        "STARTED job=2/start/done \"u.service was skipped because of an unmet condition check.\"",
      ],
      ["started", "stopping", "stopped success restart", "stopped success restart-failed", "skipped"]),
    Story(
      "automatic restart from 254 on: no STOPPED",
      [
        "STARTED inv=a job=1/start/done", "EXIT inv=a", "FAILURE inv=a ur=signal", "SCHEDULED inv=a",
        "STARTED inv=b job=2/start/done",
      ],
      ["started", "stopped signal", "failed signal", "restarting", "started auto", "restarted"]),
    Story(
      "an automatic restart that was cut short by a stop is no longer one",
      [
        "STARTED inv=a job=1/start/done", "EXIT inv=a", "FAILURE inv=a ur=signal", "SCHEDULED inv=a",
        "STOPPED inv=a job=3/stop/done", "STARTED inv=b job=4/start/done",
      ],
      ["started", "stopped signal", "failed signal", "restarting", "started"]),
    Story("first seen by its clean end", ["SUCCESS inv=a"], ["stopped success"]),
    Story(
      "first seen by a stop job", ["STOPPING inv=a job=2/stop", "SUCCESS inv=a", "STOPPED inv=a job=2/stop/done"],
      ["stopping", "stopped success"]),
    Story(
      "first seen by the death of its main process", ["EXIT inv=a", "FAILURE inv=a ur=signal"],
      ["stopped signal", "failed signal"]),
    Story(
      "first seen by a failure without a process: it was up", ["FAILURE inv=a ur=resources at=1"],
      ["stopped resources", "failed resources"]),
    Story(
      "first seen by a failing start: it was not up",
      ["FAILURE inv=a ur=resources", "FAILED inv=a job=1/start/failed"],
      ["failed resources"]),
    Story(
      "a socket that is down and cannot listen",
      [
        "STARTED inv=a job=1/start/done", "SUCCESS inv=a", "STOPPED inv=a job=2/stop/done",
        "FAILURE inv=b ur=resources",
        "FAILED inv=b job=3/start/failed",
      ],
      ["started", "stopped success", "failed resources"]),
    Story(
      "a oneshot first seen at its end is finished, and was taken for a stop",
      ["SUCCESS inv=a", "STARTED inv=a job=1/start/done"], ["stopped success", "finished success"]),
    Story(
      "a start that was stopped was never up",
      ["STARTING inv=a job=1/start", "SUCCESS inv=a", "STOPPED inv=a job=2/stop/done"], ["starting"]),
    Story(
      "a failed dependency is told each time, though its invocation is the last run's",
      ["FAILED inv=a job=1/start/dependency", "FAILED inv=a job=2/start/dependency at=9"],
      ["failed dependency", "failed dependency"]),
    Story("a collected job is nothing", ["FAILED inv=a job=1/start/collected"], []),
    Story(
      "a stop that timed out as a job has not stopped the unit",
      ["STARTED inv=a job=1/start/done", "STOPPING inv=a job=2/stop", "STOPPED inv=a job=2/stop/timeout"],
      ["started", "stopping"]),
    Story(
      "ExecCondition= skips a start that has begun",
      [
        "STARTING inv=a job=1/start", "SKIPPED inv=a",
        "STARTED inv=a job=1/start/done \"u.service was skipped because …\"",
      ],
      ["starting", "skipped"]),
    Story(
      "a description cannot make a start look skipped",
      ["STARTED inv=a job=1/start/done \"Started u.service - a job that was skipped because of rain.\""], ["started"]),
    Story(
      "a skipped start carries the last run's invocation",
      ["STARTED inv=a job=1/start/done", "SUCCESS inv=a", "STARTED inv=a job=2/start/done \"u.service skipped, no.\""],
      ["started", "stopped success", "skipped"]),
    Story(
      "start limit by hand: nothing has failed",
      [
        "STARTED inv=a job=1/start/done", "SUCCESS inv=a", "LIMIT inv=a", "FAILURE inv=a ur=start-limit-hit",
        "FAILED inv=a job=2/start/failed",
      ],
      ["started", "stopped success", "gave-up start-limit-hit"]),
    Story(
      "out of memory", ["STARTED inv=a job=1/start/done", "OOM inv=a", "EXIT inv=a", "FAILURE inv=a ur=oom-kill"],
      ["started", "oom", "stopped oom-kill", "failed oom-kill"]),
    Story(
      "229–234: the result comes behind the job's end, and that says not which job",
      [
        "STARTED job=-/-/done", "STOPPING", "STOPPED job=-/-/done", "FAILURE ur=timeout", "STARTED job=-/-/done",
        "STOPPING", "STOPPED job=-/-/done", "STARTING", "FAILED job=-/-/failed", "FAILURE ur=exit-code",
      ],
      [
        "started", "stopping", "stopped timeout restart", "failed timeout", "started restart", "restarted restart",
        "stopping",
        "stopped success restart", "starting", "stopped success restart-failed", "failed exit-code",
      ]),
    Story(
      "up to 234: a start that comes late is no restart",
      ["STARTED job=-/-/done", "STOPPED job=-/-/done at=10", "STARTED job=-/-/done at=100010"],
      ["started", "stopped success", "started"]),
    Story(
      "232–234: some entries tell the invocation",
      ["STARTED job=-/-/done", "EXIT inv=a", "FAILURE inv=a ur=signal", "STARTED job=-/-/done"],
      ["started", "stopped signal", "failed signal", "started"]),
    Story(
      "a clean end that was not logged shows by the automatic restart",
      ["STARTED job=-/-/done", "SCHEDULED", "SCHEDULED", "STOPPED job=-/-/done", "STARTED job=-/-/done"],
      ["started", "stopped success", "restarting", "started auto", "restarted"]),
    Story(
      "a restart by hand in the delay of an automatic one, of a version that tells no job types",
      ["STARTED job=-/-/done", "FAILURE ur=signal", "STOPPED job=-/-/done", "STARTED job=-/-/done"],
      ["started", "stopped signal", "failed signal", "started"]),
    Story(
      "a device is found, and not skipped for want of an invocation",
      ["STARTED job=1/start/done \"Found device A device.\""], ["started"]),
    Story(
      "the same names in two boots",
      ["STARTED inv=a job=1/start/done boot=1", "STARTED inv=b job=1/start/done boot=2"],
      ["started", "started"]),
  ]

  @Test(arguments: stories) func tells(_ story: Story) throws {
    var tracker = LifecycleTracker()
    var events: [LifecycleEvent] = []
    for (index, line) in story.said.enumerated() { events += tracker.process(try #require(parse(line, index))) }
    events += tracker.flushAll()
    #expect(events.map(summary) == story.events)
    #expect(Set(events.map(\.id)).count == events.count, "ids are unique")
  }

  @Test func savedAndRestoredItGoesOn() throws {
    // Cut at every place: what was known has to be enough.
    for story in Self.stories {
      for cut in story.said.indices {
        var tracker = LifecycleTracker()
        var events: [LifecycleEvent] = []
        for (index, line) in story.said.enumerated() {
          if index == cut { tracker = try restored(tracker) }
          events += tracker.process(try #require(parse(line, index)))
        }
        events += tracker.flushAll()
        #expect(events.map(summary) == story.events, "\(story.name), cut at \(cut)")
      }
    }
  }

  /// As the ledger gives it back: the events that it holds are kept by themselves.
  private func restored(_ tracker: LifecycleTracker) throws -> LifecycleTracker {
    let units = try tracker.units.mapValues { state in
      var copy = try #require(UnitState(ledgerText: state.ledgerText))
      copy.pending = state.pending
      copy.pendingFailure = state.pendingFailure
      copy.restart.unanswered = state.restart.unanswered
      #expect(copy == state, "\(state.ledgerText)")
      return copy
    }
    return LifecycleTracker(units: units, boots: tracker.boots)
  }

  @Test func itsMemoryIsBounded() {
    var tracker = LifecycleTracker()
    for index in 0..<12_000 {
      for line in [
        "STARTED unit=run-\(index) inv=i\(index) job=1/start/done", "SUCCESS unit=run-\(index) inv=i\(index)",
      ] {
        if let entry = parse(line, index) { _ = tracker.process(entry) }
      }
    }
    #expect(tracker.units.count <= 8192)
  }

  private func summary(_ event: LifecycleEvent) -> String {
    var words = event.unit == "u.service" ? [] : [String(event.unit.dropLast(8))]
    words.append(event.kind.rawValue)
    if let result = event.result { words.append(result) }
    if event.restartJob == true { words.append("restart") }
    if event.autoRestart == true, event.kind == .started { words.append("auto") }
    if event.source != .journal { words.append(event.source.rawValue) }
    return words.joined(separator: " ")
  }

  private static let kinds: [String: ManagerEntry.Kind] = [
    "STARTING": .starting, "STARTED": .started, "FAILED": .startFailed, "STOPPING": .stopping, "STOPPED": .stopped,
    "SUCCESS": .success, "FAILURE": .failureResult, "EXIT": .mainProcessExit, "SCHEDULED": .restartScheduled,
    "SKIPPED": .skipped, "OOM": .outOfMemory, "LIMIT": .startLimitHit,
  ]

  private func parse(_ line: String, _ index: Int) -> ManagerEntry? {
    let parts = line.split(separator: "\"", maxSplits: 1)
    var words = parts[0].split(separator: " ").map(String.init)
    guard let kind = Self.kinds[words.removeFirst()] else { return nil }
    var values: [String: String] = [:]
    for word in words {
      let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
      values[pair[0]] = pair[1]
    }
    let job = values["job"]?.split(separator: "/").map(String.init)
    let unit = "\(values["unit"] ?? "u").service"
    var entry = ManagerEntry(
      kind: kind, unit: unit, manager: values["uid"].flatMap { UInt32($0) }.map { .user($0) } ?? .system, machine: "m",
      hostname: "h", boot: values["boot"] ?? "1",
      realtime: 1_000_000 + UInt64(index), monotonic: values["at"].flatMap { UInt64($0) } ?? UInt64(index),
      cursor: "c\(index)", invocation: values["inv"],
      job: job.map { .init(id: UInt32($0[0]), type: $0[1] == "-" ? nil : $0[1], result: $0.count > 2 ? $0[2] : nil) },
      result: values["ur"],
      exitCode: kind == .mainProcessExit ? "killed" : nil, exitStatus: kind == .mainProcessExit ? "9" : nil,
      nRestarts: nil, message: parts.count > 1 ? String(parts[1].dropLast()) : "\(kind)")
    entry.remainsAfterExit = values["stays"].map { $0 == "yes" }
    entry.source = values["by"].flatMap { .init(rawValue: $0) } ?? .journal
    return entry
  }
}
