package import Systemd

/// Turns journal entries into what a service manager said, and refuses what none has written.
package struct EntryDecoder: Sendable {
  /// Whose entries count.
  package enum Trust: Sendable, Equatable {
    /// PID 1 of this machine.
    case localSystem(machine: String)
    /// PID 1 of any machine: for journals of other machines.
    case anySystem
    /// PID 1 of the machine that a file of systemd-journal-remote is bound to: what it receives is as its sender says.
    case remote(machine: String)
    /// The service manager of one user.
    case user(UserManager)
  }

  /// A user's service manager.
  ///
  /// Its process ids change, and a journal does not show them afterwards. An entry counts if it comes from `process`; where
  /// that says nothing about the entry's boot, if it comes from a process called systemd, in user@UID.service itself and in
  /// none of the units in there. journald writes that from /proc and may miss it, and a user can call a process so: entries
  /// may be lost or made up, but only the user's own.
  package struct UserManager: Sendable, Equatable {
    /// A process in a boot.
    package struct Process: Sendable, Equatable {
      package var pid: UInt32
      package var boot: String

      package init(pid: UInt32, boot: String) {
        self.pid = pid
        self.boot = boot
      }
    }

    package var uid: UInt32
    /// The machine; nil: any.
    package var machine: String?
    /// The manager that runs now.
    package var process: Process?

    package init(uid: UInt32, machine: String?, process: Process? = nil) {
      self.uid = uid
      self.machine = machine
      self.process = process
    }

    func isAuthor(of entry: JournalEntry) -> Bool {
      if let process, process.boot == entry.boot, entry.has("_PID", String(process.pid)) { return true }
      return entry.has("_COMM", "systemd") && entry.has("_SYSTEMD_UNIT", "user@\(uid).service")
        && entry["_SYSTEMD_USER_UNIT"] ?? "init.scope" == "init.scope"
    }
  }

  package var trust: Trust

  package init(trust: Trust) { self.trust = trust }

  /// The fields that decoding needs; others need not be read.
  package var fields: FieldSet {
    if case .user = trust { EntryDecoder.fieldsOfUser } else { EntryDecoder.fieldsOfSystem }
  }

  private static let fieldsOfSystem = FieldSet(trustedFields + managerFields)
  private static let fieldsOfUser = fieldsOfSystem.union(FieldSet(["_COMM", "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT"]))

  /// Those that the manager writes.
  private static let managerFields: [StaticString] = [
    "MESSAGE", "MESSAGE_ID", "PRIORITY", "UNIT", "INVOCATION_ID", "USER_UNIT", "USER_INVOCATION_ID", "JOB_ID",
    "JOB_TYPE", "JOB_RESULT", "RESULT", "UNIT_RESULT", "EXIT_CODE", "EXIT_STATUS", "N_RESTARTS",
  ]

  /// Those that journald writes.
  private static let trustedFields: [StaticString] = [
    "_PID", "_UID", "_TRANSPORT", "_MACHINE_ID", "_HOSTNAME",
  ]

  /// What the manager said; nil when the entry is not a manager's, or says nothing about a unit's lifecycle.
  package func decode(_ entry: JournalEntry) -> ManagerEntry? {
    guard let (manager, machine) = author(of: entry) else { return nil }
    let unitField: StaticString = manager == .system ? "UNIT" : "USER_UNIT"
    guard let unit = entry[unitField], UnitName(unit).isValid, !EntryDecoder.isAmbiguous(entry) else { return nil }
    let message = entry["MESSAGE"] ?? ""
    guard let text = text(of: entry, unit: unit, message: message) else { return nil }
    let kind = text.kind

    let invocation = entry[manager == .system ? "INVOCATION_ID" : "USER_INVOCATION_ID"]
    return ManagerEntry(
      kind: kind, unit: unit, manager: manager, machine: machine, hostname: entry["_HOSTNAME"], boot: entry.boot,
      realtime: entry.realtime, monotonic: entry.monotonic, cursor: entry.cursor,
      invocation: invocation.flatMap { $0.isEmpty ? nil : $0 }, job: job(of: entry, kind),
      result: (kind == .failureResult ? entry["UNIT_RESULT"] : nil) ?? text.result,
      exitCode: kind == .mainProcessExit ? entry["EXIT_CODE"] : nil,
      exitStatus: kind == .mainProcessExit ? entry["EXIT_STATUS"] : nil,
      nRestarts: kind == .restartScheduled ? entry["N_RESTARTS"].flatMap { UInt32($0) } : nil, message: message)
  }

  /// Whether a field that a manager writes once occurs more often.
  ///
  /// `LogExtraFields=` (systemd 254) lets a unit's author append fields to its manager's own messages about it, and the journal
  /// does not keep the order of an entry's fields: of two values it is not known which is the manager's.
  private static func isAmbiguous(_ entry: JournalEntry) -> Bool {
    entry.hasRepetitions && managerFields.contains { entry.count(of: $0) > 1 }
  }

  /// The job that a message is about. Others have none, whatever fields were appended to them.
  private func job(of entry: JournalEntry, _ kind: ManagerEntry.Kind) -> LifecycleEvent.Job? {
    let isEnd: Bool
    switch kind {
    case .starting, .stopping, .reloading: isEnd = false
    case .started, .startFailed, .stopped, .reloaded: isEnd = true
    default: return nil
    }
    let id = entry["JOB_ID"].flatMap { UInt32($0) }
    let type = entry["JOB_TYPE"]
    // RESULT= was JOB_RESULT='s name up to systemd 234.
    let result = isEnd ? entry["JOB_RESULT"] ?? entry["RESULT"] : nil
    return id == nil && type == nil && result == nil ? nil : .init(id: id, type: type, result: result)
  }

  /// The manager that wrote the entry, and its machine, if it is one that counts.
  ///
  /// _PID, _UID and _TRANSPORT are set by journald from the kernel's word; every other field can be forged by anybody.
  private func author(of entry: JournalEntry) -> (manager: Manager, machine: String)? {
    guard entry.has("_TRANSPORT", "journal") else { return nil }
    let manager: Manager
    let own: String?
    switch trust {
    case .user(let trusted):
      guard entry.has("_UID", String(trusted.uid)), trusted.isAuthor(of: entry) else { return nil }
      (manager, own) = (.user(trusted.uid), trusted.machine)
    case .localSystem(let machine), .remote(let machine): (manager, own) = (.system, machine)
    case .anySystem: (manager, own) = (.system, nil)
    }
    if manager == .system, !entry.has("_PID", "1") || !entry.has("_UID", "0") { return nil }
    if let own { return entry.has("_MACHINE_ID", own) ? (manager, own) : nil }
    return entry["_MACHINE_ID"].map { (manager, $0) }
  }

  private func text(of entry: JournalEntry, unit: String, message: String) -> ManagerText? {
    var text: ManagerText
    if let id = entry.id("MESSAGE_ID") {
      guard let kind = EntryDecoder.kinds[id] else { return nil }
      // Control processes log the same MESSAGE_ID, and in Type=forking even the same COMMAND=.
      if kind == .mainProcessExit, !message.hasPrefix("\(unit): Main process exited") { return nil }
      if kind != .mainProcessExit, ManagerText.isMisplaced(message, for: kind, unit: unit) { return nil }
      text = ManagerText(kind)
    } else {
      guard !entry.has("MESSAGE_ID"), let told = ManagerText(message, unit: unit) else { return nil }
      text = told
    }
    // Ends that count as success (SuccessExitStatus=) are logged for debugging only.
    if text.kind == .mainProcessExit || text.kind == .failureHint, entry["PRIORITY"] == "7" {
      guard text.kind == .mainProcessExit else { return nil }
    } else if text.kind == .mainProcessExit {
      text.result = ManagerText.result(ofExit: entry["EXIT_CODE"] ?? "")
    }
    return text
  }

  private static let kinds: [UInt128: ManagerEntry.Kind] = [
    0x7d4958e842da4a758f6c1cdc7b36dcc5: .starting,
    0x39f53479d3a045ac8e11786248231fbf: .started,
    0xbe02cf6855d2428ba40df7e9d022f03d: .startFailed,
    0xde5b426a63be47a7b6ac3eaac82e2f6f: .stopping,
    0x9d1aaa27d60140bd96365438aad20286: .stopped,
    0xd34d037fff1847e6ae669a370e694725: .reloading,
    0x7b05ebc668384222baa8881179cfda54: .reloaded,
    0x5eb03494b6584870a536b337290809b3: .restartScheduled,
    0x7ad2d189f7e94e70a38c781354912448: .success,
    0xd9b373ed55a64feb8242e02dbe79a49c: .failureResult,
    0x98e322203f7a4ed290d09fe03c09fe15: .mainProcessExit,
    0x0e4284a0caca4bfc81c0bb6786972673: .skipped,
    0xfe6faa94e7774663a0da52717891d8ef: .outOfMemory,
    0xd989611b15e44c9dbf31e3c81256e4ed: .outOfMemory,
  ]
}
