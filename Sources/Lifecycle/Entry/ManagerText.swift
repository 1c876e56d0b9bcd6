internal import Systemd

/// What a manager says without a MESSAGE_ID, by its exact text.
///
/// systemd 219 (el7) writes the unit's name into the sentence; from 229 on it stands before a colon. Each text is compared
/// whole, or from the unit's own name on, so that neither a description nor another unit's name can pass for one.
struct ManagerText {
  var kind: ManagerEntry.Kind
  var result: String?

  init(_ kind: ManagerEntry.Kind, result: String? = nil) {
    self.kind = kind
    self.result = result
  }

  /// Reads a text about a unit; nil when it says nothing about the unit's lifecycle.
  init?(_ message: String, unit: String) {
    // Up to 234, unit.c and service.c.
    switch message {
    case "Unit \(unit) entered failed state.":
      self.init(.failureResult)
      return
    case "start request repeated too quickly for \(unit)":
      self.init(.startLimitHit)
      return
    default: break
    }
    guard let rest = message.rest(behind: unit) else { return nil }
    if let text = rest.rest(behind: ": ") {
      self.init(named: text, isService: unit.hasSuffix(".service"))
    } else if let text = rest.rest(behind: " ") {
      self.init(sentence: text)
    } else {
      return nil
    }
  }

  /// `NAME: …`: systemd 229 and later, and the ends of processes in 219.
  private init?(named text: String, isService: Bool) {
    switch text {
    case "Start request repeated too quickly.": self.init(.startLimitHit)
    // 229–234. Services say more right after it; the other types say nothing else before 235.
    case "Unit entered failed state." where !isService: self.init(.failureResult)
    // 229–234; 235–238 log UNIT_RESTART_SCHEDULED as well.
    case "Service hold-off time over, scheduling restart.", "Service has no hold-off time, scheduling restart.":
      self.init(.restartScheduled)
    default:
      // 229–239: no MESSAGE_ID yet.
      if let result = text.rest(behind: "Failed with result '"), result.hasSuffix("'.") {
        self.init(.failureResult, result: String(result.dropLast(2)))
      } else if text.hasPrefix("Main process exited, code=") || text.hasPrefix("main process exited, code=") {
        self.init(.mainProcessExit)
      } else if let result = ManagerText.failureHint(in: text) {
        self.init(.failureHint, result: result)
      } else {
        return nil
      }
    }
  }

  /// `NAME …`: systemd 219.
  private init?(sentence text: String) {
    if text == "holdoff time over, scheduling restart." || text == "has no holdoff time, scheduling restart." {
      self.init(.restartScheduled)
    } else if let result = ManagerText.failureHint(in: text) {
      self.init(.failureHint, result: result)
    } else {
      return nil
    }
  }

  /// Whether a text belongs to another message than its MESSAGE_ID says.
  ///
  /// `LogExtraFields=MESSAGE_ID=…` gives one to all that the manager says of a unit without one ("Sent signal SIGKILL to …").
  /// Those begin with the unit's name and a colon, and are known; a text that is not may be a later systemd's.
  static func isMisplaced(_ message: String, for kind: ManagerEntry.Kind, unit: String) -> Bool {
    guard let text = message.rest(behind: unit)?.rest(behind: ": ") else { return false }
    // Nearly always it is this one (UNIT_SUCCESS since 247; 240–246), and need not be compared with all the others.
    if kind == .success, text == "Deactivated successfully." || text == "Succeeded." { return false }
    if let told = ManagerText(named: text, isService: unit.hasSuffix(".service")), told.kind != kind { return true }
    return others.contains(where: text.hasPrefix)
  }

  /// What the manager says of a unit without a MESSAGE_ID, at the levels that are logged (service.c, unit.c, cgroup.c).
  private static let others = [
    "Consumed ", "Sent signal ", "Killing process ", "State '", "Failed to ", "Found left-over process ",
    "Unit process ",
    "Control process ", "Got notification message ", "Supervising process ", "This usually indicates ", "Main process ",
    "Current command ", "Processes still around ", "Service will not restart", "Changed ",
  ]

  /// What a unit's result will be if it fails by this: the only hint that 219 gives, as it does not log the result.
  private static func failureHint(in text: String) -> String? {
    for start in processEnds {
      if let code = text.rest(behind: start) { return result(ofExit: code.prefix { $0.isLetter }) }
    }
    if text.hasPrefix("watchdog timeout (limit ") || text.hasPrefix("Watchdog timeout (limit ") { return "watchdog" }
    // A reload that takes too long does not end the unit.
    let isReload = text.hasPrefix("reload operation") || text.hasPrefix("Reload operation")
    return timeouts.contains(where: text.hasSuffix) && !isReload ? "timeout" : nil
  }

  private static let processEnds = ["control", "Control", "mount", "Mount", "swap", "Swap"].map {
    "\($0) process exited, code="
  }
  private static let timeouts = ["Terminating.", "Stopping.", "Killing.", "Skipping SIGKILL."].map {
    " timed out. \($0)"
  }

  /// The result of a unit whose process ended like that.
  static func result(ofExit code: some StringProtocol) -> String? {
    switch code {
    case "exited": "exit-code"
    case "killed": "signal"
    case "dumped": "core-dump"
    default: nil
    }
  }
}

extension String {
  /// What follows a beginning; nil if it begins otherwise.
  ///
  /// Counted in bytes: a manager says much about a unit, and characters take long to count.
  fileprivate func rest(behind start: String) -> String? {
    hasPrefix(start) ? String(Substring(utf8.dropFirst(start.utf8.count))) : nil
  }
}
