package import Systemd

/// What a service manager said about one unit in one journal entry, before it is known what it means.
package struct ManagerEntry: Sendable, Equatable {
  /// The kinds of messages, by MESSAGE_ID where there is one (systemd's sd-messages.h).
  package enum Kind: Sendable, Equatable {
    /// A start job has begun to work.
    case starting
    /// A start job is done. Not yet "the unit is up": it may have been skipped, or have run to completion.
    case started
    /// A start job was not done.
    case startFailed
    case stopping
    case stopped
    case reloading
    case reloaded
    case restartScheduled
    case success
    case failureResult
    /// The main process ended; entries about control processes are not decoded.
    case mainProcessExit
    case skipped
    case outOfMemory
    /// "Start request repeated too quickly."
    case startLimitHit
  }

  package var kind: Kind
  package var unit: String
  package var manager: Manager
  package var machine: String
  package var hostname: String?
  package var boot: String
  package var realtime: UInt64
  package var monotonic: UInt64
  package var cursor: String
  /// Nil when the field is absent or empty.
  package var invocation: String?
  package var job: LifecycleEvent.Job?
  /// UNIT_RESULT of a failure.
  package var result: String?
  package var exitCode: String?
  package var exitStatus: String?
  package var nRestarts: UInt32?
  package var message: String
  /// `bus` for what the live manager told and the journal did not.
  package var source = LifecycleEvent.Source.journal

  /// Whether the manager's text tells that a start was skipped because a condition was not met.
  ///
  /// systemd logs UNIT_STARTED with JOB_RESULT=done then, and only the text differs (job.c: "Condition check resulted in %s
  /// being skipped." in 240–249, "%s was skipped because of …" in 250–259, "%s skipped, …" in 260). The text of a start
  /// that was done begins with the verb, so a unit's description cannot imitate it.
  var tellsSkippedStart: Bool {
    if message.hasPrefix("Condition check resulted in ") { return message.hasSuffix(" being skipped.") }
    let doneVerbs = [
      "Started ", "Finished ", "Reached target ", "Listening on ", "Mounted ", "Activated ", "Created slice ",
      "Set up automount ", "Found device ",
    ]
    if doneVerbs.contains(where: message.hasPrefix) { return false }
    return message.contains(" was skipped because ") || message.contains(" skipped, ")
  }
}

/// Turns journal entries into what a service manager said, and refuses what none has written.
package struct EntryDecoder: Sendable {
  /// Whose entries count.
  package enum Trust: Sendable, Equatable {
    /// PID 1 of this machine.
    case localSystem(machine: String)
    /// PID 1 of any machine: for journals of other machines.
    case anySystem
  }

  package var trust: Trust

  package init(trust: Trust) { self.trust = trust }

  /// The fields that decoding needs; others need not be read.
  package static func needs(field name: String) -> Bool { fieldNames.contains(name) }

  private static let fieldNames: Set<String> = [
    "MESSAGE", "MESSAGE_ID", "UNIT", "INVOCATION_ID", "JOB_ID", "JOB_TYPE", "JOB_RESULT", "RESULT", "UNIT_RESULT",
    "EXIT_CODE", "EXIT_STATUS", "COMMAND", "N_RESTARTS", "_PID", "_UID", "_TRANSPORT", "_MACHINE_ID", "_HOSTNAME",
  ]

  /// What the manager said; nil when the entry is not a manager's, or tells nothing about a unit's lifecycle.
  package func decode(_ entry: JournalEntry) -> ManagerEntry? {
    // _PID, _UID and _TRANSPORT are set by journald from the kernel's word; every other field can be forged by anybody.
    guard entry["_PID"] == "1", entry["_UID"] == "0", entry["_TRANSPORT"] == "journal",
      let machine = entry["_MACHINE_ID"]
    else { return nil }
    if case .localSystem(let own) = trust, machine != own { return nil }
    // LogExtraFields= (systemd 254) lets a unit append fields to PID 1's own messages about it.
    guard entry.count(of: "UNIT") == 1, let unit = entry["UNIT"], !unit.isEmpty, entry.count(of: "MESSAGE_ID") <= 1
    else { return nil }
    let message = entry["MESSAGE"] ?? ""
    guard let kind = kind(of: entry, unit: unit, message: message) else { return nil }

    let jobID = entry["JOB_ID"].flatMap { UInt32($0) }
    let jobType = entry["JOB_TYPE"]
    // RESULT= was JOB_RESULT='s name up to systemd 234.
    let jobResult = entry["JOB_RESULT"] ?? entry["RESULT"]
    let hasJob = jobID != nil || jobType != nil || jobResult != nil
    return ManagerEntry(
      kind: kind, unit: unit, manager: .system, machine: machine, hostname: entry["_HOSTNAME"], boot: entry.boot,
      realtime: entry.realtime, monotonic: entry.monotonic, cursor: entry.cursor,
      invocation: entry["INVOCATION_ID"].flatMap { $0.isEmpty ? nil : $0 },
      job: hasJob ? .init(id: jobID, type: jobType, result: jobResult) : nil,
      result: entry["UNIT_RESULT"], exitCode: entry["EXIT_CODE"], exitStatus: entry["EXIT_STATUS"],
      nRestarts: entry["N_RESTARTS"].flatMap { UInt32($0) }, message: message)
  }

  private func kind(of entry: JournalEntry, unit: String, message: String) -> ManagerEntry.Kind? {
    guard let id = entry["MESSAGE_ID"] else {
      return message == "\(unit): Start request repeated too quickly." ? .startLimitHit : nil
    }
    guard let kind = EntryDecoder.kinds[id] else { return nil }
    // Control processes log the same MESSAGE_ID, and in Type=forking even the same COMMAND=.
    if kind == .mainProcessExit, !message.hasPrefix("\(unit): Main process exited") { return nil }
    return kind
  }

  private static let kinds: [String: ManagerEntry.Kind] = [
    "7d4958e842da4a758f6c1cdc7b36dcc5": .starting,
    "39f53479d3a045ac8e11786248231fbf": .started,
    "be02cf6855d2428ba40df7e9d022f03d": .startFailed,
    "de5b426a63be47a7b6ac3eaac82e2f6f": .stopping,
    "9d1aaa27d60140bd96365438aad20286": .stopped,
    "d34d037fff1847e6ae669a370e694725": .reloading,
    "7b05ebc668384222baa8881179cfda54": .reloaded,
    "5eb03494b6584870a536b337290809b3": .restartScheduled,
    "7ad2d189f7e94e70a38c781354912448": .success,
    "d9b373ed55a64feb8242e02dbe79a49c": .failureResult,
    "98e322203f7a4ed290d09fe03c09fe15": .mainProcessExit,
    "0e4284a0caca4bfc81c0bb6786972673": .skipped,
    "fe6faa94e7774663a0da52717891d8ef": .outOfMemory,
    "d989611b15e44c9dbf31e3c81256e4ed": .outOfMemory,
  ]
}
