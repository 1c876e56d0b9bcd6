import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// What counts as a manager's word, and what its texts mean.
@Suite struct DecoderTests {
  private func decode(_ trust: EntryDecoder.Trust, boot: String = "b", _ fields: [String]) -> ManagerEntry? {
    let fields = fields.map { field in
      let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return JournalEntry.Field(name: String(parts[0]), bytes: Array(parts[1].utf8))
    }
    return EntryDecoder(trust: trust).decode(
      JournalEntry(fields: fields, cursor: "c", realtime: 1, monotonic: 1, boot: boot))
  }

  private let said = [
    "_TRANSPORT=journal", "_MACHINE_ID=m", "_PID=1", "_UID=0", "UNIT=x.service",
    "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf",
  ]

  private func said(_ change: String) -> [String] {
    let name = change.prefix { $0 != "=" }
    return said.filter { !$0.hasPrefix("\(name)=") } + [change]
  }

  @Test func onlyPID1OfTheMachineCounts() {
    #expect(decode(.localSystem(machine: "m"), said) != nil)
    #expect(decode(.remote(machine: "m"), said) != nil)
    #expect(decode(.anySystem, said("_MACHINE_ID=other")) != nil)
    for change in ["_PID=2", "_UID=1000", "_TRANSPORT=kernel", "_TRANSPORT=stdout", "_MACHINE_ID=other"] {
      #expect(decode(.localSystem(machine: "m"), said(change)) == nil, "\(change)")
      #expect(decode(.remote(machine: "m"), said(change)) == nil, "\(change)")
    }
    #expect(decode(.anySystem, said("UNIT=not a unit")) == nil)
  }

  /// `LogExtraFields=` appends fields to what the manager says of a unit (systemd 254).
  @Test func appendedFields() {
    let own = said + ["MESSAGE=Stopped X.", "INVOCATION_ID=a", "JOB_ID=1", "JOB_TYPE=stop", "JOB_RESULT=done"]
    #expect(decode(.anySystem, own) != nil)
    for twice in [
      "UNIT=x.service", "UNIT=y.service", "MESSAGE_ID=9d1aaa27d60140bd96365438aad20286", "MESSAGE=Stopped Y.",
      "INVOCATION_ID=b", "JOB_ID=2", "JOB_TYPE=restart", "JOB_RESULT=failed",
    ] {
      #expect(decode(.anySystem, own + [twice]) == nil, "\(twice)")
      #expect(decode(.anySystem, [twice] + own) == nil, "\(twice), first")
    }
    // Where the manager writes no such field, one that was appended tells nothing.
    let appended = [
      "JOB_ID=77", "JOB_TYPE=restart", "JOB_RESULT=failed", "RESULT=failed", "UNIT_RESULT=signal", "EXIT_CODE=killed",
      "EXIT_STATUS=9", "N_RESTARTS=3", "USER_UNIT=y.service", "USER_INVOCATION_ID=b",
    ]
    let success = [
      "MESSAGE_ID=7ad2d189f7e94e70a38c781354912448", "MESSAGE=x.service: Deactivated successfully.", "INVOCATION_ID=a",
    ]
    let plain = said.filter { !$0.hasPrefix("MESSAGE_ID=") } + success
    #expect(decode(.anySystem, plain) != nil)
    #expect(decode(.anySystem, plain + appended) == decode(.anySystem, plain))
    let stopping = said("MESSAGE_ID=de5b426a63be47a7b6ac3eaac82e2f6f") + ["MESSAGE=Stopping X...", "JOB_TYPE=stop"]
    #expect(decode(.anySystem, stopping + ["JOB_RESULT=failed"]) == decode(.anySystem, stopping))
  }

  /// A MESSAGE_ID that was appended to what the manager says without one.
  @Test(arguments: [
    "9d1aaa27d60140bd96365438aad20286", "39f53479d3a045ac8e11786248231fbf", "be02cf6855d2428ba40df7e9d022f03d",
    "7d4958e842da4a758f6c1cdc7b36dcc5", "7ad2d189f7e94e70a38c781354912448", "d9b373ed55a64feb8242e02dbe79a49c",
    "5eb03494b6584870a536b337290809b3", "98e322203f7a4ed290d09fe03c09fe15", "0e4284a0caca4bfc81c0bb6786972673",
    "fe6faa94e7774663a0da52717891d8ef", "7b05ebc668384222baa8881179cfda54",
  ])
  func appendedMessageIDs(_ id: String) {
    for message in [
      "x.service: Sent signal SIGKILL to main process 220 (sleep) on client request.", "x.service: Killing process 1.",
      "x.service: Consumed 5ms CPU time.",
    ] {
      #expect(decode(.anySystem, said("MESSAGE_ID=\(id)") + ["MESSAGE=\(message)"]) == nil, "\(message)")
    }
  }

  @Test func aUsersManager() {
    let process = EntryDecoder.UserManager.Process(pid: 700, boot: "b")
    let trust = EntryDecoder.Trust.user(.init(uid: 1000, machine: "m", process: process))
    let live = [
      "_TRANSPORT=journal", "_MACHINE_ID=m", "_PID=700", "_UID=1000", "USER_UNIT=x.service", "USER_INVOCATION_ID=a",
      "MESSAGE_ID=7ad2d189f7e94e70a38c781354912448",
      "MESSAGE=x.service: Deactivated successfully.",
    ]
    let entry = decode(trust, live)
    #expect(entry?.manager == .user(1000) && entry?.invocation == "a" && entry?.kind == .success)
    // Another user, process, machine; PID 1; the same number in another boot.
    for (index, change) in [(3, "_UID=1001"), (2, "_PID=701"), (1, "_MACHINE_ID=n"), (4, "UNIT=x.service")] {
      var changed = live
      changed[index] = change
      #expect(decode(trust, changed) == nil, "\(change)")
    }
    #expect(decode(trust, said) == nil)
    #expect(decode(trust, boot: "before", live) == nil)

    // History: by where the process was.
    let evidence = ["_COMM=systemd", "_SYSTEMD_UNIT=user@1000.service", "_SYSTEMD_USER_UNIT=init.scope"]
    #expect(decode(trust, boot: "before", live + evidence) != nil)
    for other in [
      ["_COMM=bash", evidence[1], evidence[2]], [evidence[0], "_SYSTEMD_UNIT=user@1001.service", evidence[2]],
      [evidence[0], evidence[1], "_SYSTEMD_USER_UNIT=systemd.service"], [evidence[0]],
    ] { #expect(decode(trust, boot: "before", live + other) == nil, "\(other)") }
    #expect(decode(.anySystem, live + evidence) == nil)
  }

  @Test(
    arguments: [
      ("Unit x.service entered failed state.", ManagerEntry.Kind.failureResult, nil),
      ("x.service holdoff time over, scheduling restart.", .restartScheduled, nil),
      ("x.service has no holdoff time, scheduling restart.", .restartScheduled, nil),
      ("start request repeated too quickly for x.service", .startLimitHit, nil),
      ("x.service: control process exited, code=exited status=1", .failureHint, "exit-code"),
      ("x.service start-pre operation timed out. Terminating.", .failureHint, "timeout"),
      ("x.service stop-sigterm timed out. Killing.", .failureHint, "timeout"),
      ("x.service watchdog timeout (limit 1s)!", .failureHint, "watchdog"),
      ("x.service: Failed with result 'core-dump'.", .failureResult, "core-dump"),
      ("x.service: Service hold-off time over, scheduling restart.", .restartScheduled, nil),
      ("x.service: Start request repeated too quickly.", .startLimitHit, nil),
      ("x.service: State 'stop-sigterm' timed out. Killing.", .failureHint, "timeout"),
    ] as [(String, ManagerEntry.Kind, String?)])
  func textsThatTell(_ text: String, _ kind: ManagerEntry.Kind, _ result: String?) {
    let told = ManagerText(text, unit: "x.service")
    #expect(told?.kind == kind && told?.result == result)
  }

  @Test(arguments: [
    "Unit y.service entered failed state.", "Unit x.service.service entered failed state.", "x.service failed.",
    "x.service: Unit entered failed state.", "x.service reload operation timed out. Stopping.", "x.service",
    "ax.service: Failed with result 'signal'.", "y.service: x.service: Failed with result 'signal'.",
    "x.service: Failed with result 'signal'. Not.", "start request repeated too quickly for x.service or so", "",
    "x.service: Start request repeated too quickly", "x.serviceholdoff time over, scheduling restart.",
  ])
  func textsThatDoNot(_ text: String) { #expect(ManagerText(text, unit: "x.service") == nil) }

  @Test func othersFailByTextAlone() {
    #expect(ManagerText("x.mount: Unit entered failed state.", unit: "x.mount")?.kind == .failureResult)
  }

  @Test func skippedStarts() {
    func tells(_ message: String) -> Bool? {
      decode(.anySystem, said + ["MESSAGE=\(message)"])?.showsSkippedStart
    }
    #expect(tells("Condition check resulted in The unit being skipped.") == true)
    #expect(tells("x.service - X was skipped because of an unmet condition check (ConditionPathExists=/a).") == true)
    #expect(tells("X was skipped because no trigger condition checks were met.") == true)
    #expect(tells("x.service - X skipped, unmet condition check ConditionPathExists=/a") == true)
    #expect(tells("Started x.service - What was skipped because of rain.") == false)
    #expect(tells("Reached target X skipped, unmet condition check.") == false)
    #expect(tells("X") == nil)
  }
}
