internal import Systemd

/// The messages of a manager about its units.
enum MessageKind: Int, CaseIterable {
  case starting, started, startFailed, dependencyFailed, skipped, stopping, stopped, stoppedByRestart
  case reloading, reloaded, reloadFailed, success, failureResult, processExit, restartScheduled
  case startLimit, startTimeout, stopTimeout, outOfMemory, sentSignal

  /// MESSAGE_ID, as sd-messages.h has them; empty for texts that have none.
  var id: String {
    switch self {
    case .starting: "7d4958e842da4a758f6c1cdc7b36dcc5"
    case .started, .skipped: "39f53479d3a045ac8e11786248231fbf"
    case .startFailed, .dependencyFailed: "be02cf6855d2428ba40df7e9d022f03d"
    case .stopping: "de5b426a63be47a7b6ac3eaac82e2f6f"
    case .stopped, .stoppedByRestart: "9d1aaa27d60140bd96365438aad20286"
    case .reloading: "d34d037fff1847e6ae669a370e694725"
    case .reloaded, .reloadFailed: "7b05ebc668384222baa8881179cfda54"
    case .success: "7ad2d189f7e94e70a38c781354912448"
    case .failureResult: "d9b373ed55a64feb8242e02dbe79a49c"
    case .processExit: "98e322203f7a4ed290d09fe03c09fe15"
    case .restartScheduled: "5eb03494b6584870a536b337290809b3"
    case .outOfMemory: "fe6faa94e7774663a0da52717891d8ef"
    case .startLimit, .startTimeout, .stopTimeout, .sentSignal: ""
    }
  }

  /// JOB_TYPE and JOB_RESULT.
  var job: (type: String, result: String?)? {
    switch self {
    case .starting: ("start", nil)
    case .started, .skipped: ("start", "done")
    case .startFailed: ("start", "failed")
    case .dependencyFailed: ("start", "dependency")
    case .stopping: ("stop", nil)
    case .stopped: ("stop", "done")
    case .stoppedByRestart: ("restart", "done")
    case .reloading: ("reload", nil)
    case .reloaded: ("reload", "done")
    case .reloadFailed: ("reload", "failed")
    default: nil
    }
  }

  /// As syslog(3) has them: 3 error, 4 warning, 5 notice, 6 info.
  var priority: Int {
    switch self {
    case .startFailed, .dependencyFailed, .reloadFailed: 3
    case .failureResult, .processExit, .startLimit, .startTimeout, .stopTimeout: 4
    case .outOfMemory: 5
    default: 6
    }
  }
}

/// The fields of a unit's messages. Most of them are always the same: to make them anew would be most of the work.
struct MessageFields {
  /// Those that a kind of message always has.
  private var constant = [[JournalEntry.Field]](repeating: [], count: MessageKind.allCases.count)
  /// INVOCATION_ID, if there is one.
  var invocation: [JournalEntry.Field] = []

  /// The constant fields of a message.
  mutating func fields(
    of kind: MessageKind, about unit: UnitDescription, version: SystemdVersion
  ) -> [JournalEntry.Field] {
    if constant[kind.rawValue].isEmpty { constant[kind.rawValue] = Self.make(kind, unit, version) }
    return constant[kind.rawValue]
  }

  private static func make(
    _ kind: MessageKind, _ unit: UnitDescription, _ version: SystemdVersion
  ) -> [JournalEntry.Field] {
    var fields = [
      JournalEntry.Field("PRIORITY", String(kind.priority)), JournalEntry.Field("SYSLOG_IDENTIFIER", "systemd"),
      JournalEntry.Field("UNIT", unit.name),
    ]
    let text = text(of: kind, unit, version)
    if !text.isEmpty { fields.append(JournalEntry.Field("MESSAGE", text)) }
    if !kind.id.isEmpty { fields.append(JournalEntry.Field("MESSAGE_ID", kind.id)) }
    if let job = kind.job {
      fields.append(JournalEntry.Field("JOB_TYPE", job.type))
      if let result = job.result { fields.append(JournalEntry.Field("JOB_RESULT", result)) }
    }
    if kind == .processExit { fields.append(JournalEntry.Field("COMMAND", "ExecStart")) }
    return fields
  }

  /// The text; empty where it is not always the same.
  private static func text(of kind: MessageKind, _ unit: UnitDescription, _ version: SystemdVersion) -> String {
    let name = unit.name
    let title = version.namesUnits && unit.text != name ? "\(name) - \(unit.text)" : unit.text
    let (begins, isUp, ends, isDown) = words(of: unit.kind, unit)
    switch kind {
    case .starting: return "\(begins) \(title)..."
    case .started: return "\(isUp) \(title)."
    case .startFailed: return "\(unit.kind == .mount ? "Failed to mount" : "Failed to start") \(title)."
    case .dependencyFailed: return "Dependency failed for \(title)."
    case .skipped:
      switch version {
      case .v247: return "Condition check resulted in \(title) being skipped."
      case .v252: return "\(title) was skipped because of an unmet condition check (ConditionPathExists=/there)."
      case .v257: return "\(title) skipped, unmet condition check ConditionPathExists=/there"
      }
    case .stopping: return "\(ends) \(title)..."
    case .stopped, .stoppedByRestart: return "\(isDown) \(title)."
    case .reloading: return "Reloading \(title)\(version == .v247 ? "." : "...")"
    case .reloaded: return "Reloaded \(title)."
    case .reloadFailed: return "Reload failed for \(title)."
    case .success: return version == .v247 ? "\(name): Succeeded." : "\(name): Deactivated successfully."
    case .startLimit: return "\(name): Start request repeated too quickly."
    case .startTimeout: return "\(name): start operation timed out. Terminating."
    case .stopTimeout: return "\(name): State 'stop-sigterm' timed out. Killing."
    case .outOfMemory: return "\(name): A process of this unit has been killed by the OOM killer."
    case .sentSignal: return "\(name): Sent signal SIGKILL to main process 4242 (main) on client request."
    case .failureResult, .processExit, .restartScheduled: return ""
    }
  }

  private static func words(
    of kind: UnitDescription.Kind, _ unit: UnitDescription
  ) -> (begins: String, isUp: String, ends: String, isDown: String) {
    switch kind {
    case .mount: ("Mounting", "Mounted", "Unmounting", "Unmounted")
    case .socket: ("Starting", "Listening on", "Closing", "Closed")
    case .target: ("Starting", "Reached target", "Stopping target", "Stopped target")
    case .oneshot: ("Starting", "Finished", "Stopping", "Stopped")
    case .simple, .notify, .timer: ("Starting", "Started", "Stopping", "Stopped")
    }
  }
}

extension JournalEntry.Field {
  /// A field of two texts.
  init(_ name: String, _ text: String) { self.init(name: name, bytes: Array(text.utf8)) }
}
