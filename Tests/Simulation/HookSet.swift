internal import Glibc
internal import SimulatedSystem

/// A directory of hooks, made once and read by many histories.
package struct HookSet: Sendable {
  package let directory: String
  /// The hooks in it, by name.
  package let names: [String]

  /// All events of all units: what has happened, as journalhook sees it.
  static let all = (
    name: "10-all",
    text: """
    [Match]
    Unit=*
    Event=starting started finished stopping stopped failed gave-up restarting restarted reloading reloaded
    Event=reload-failed skipped oom
    [Hook]
    Exec=/bin/true
    PreviousBoots=yes
    RateLimitBurst=0
    TimeoutSec=5s
    """
  )

  private static let others: [(name: String, text: String)] = [
    ("20-down", "[Match]\nUnit=*.service\nEvent=stopped\nRestartJob=no\n[Hook]\nExec=/bin/true\nPreviousBoots=yes\n"),
    ("30-fails", retry), ("31-fails", retry + "OnHookFailure=90-answer\n"),
    ("40-settle", "[Match]\nUnit=*\nEvent=stopped started\n[Hook]\nExec=/bin/true\nSettleSec=2s\nPreviousBoots=yes\n"),
    ("50-parallel", "[Match]\nUnit=*\nEvent=started\n[Hook]\nExec=/bin/true\nParallel=yes\n"),
    ("60-latest", "[Match]\nUnit=*\nEvent=stopped started\n[Hook]\nExec=/bin/true\nCatchUp=latest\n"),
    (
      "70-limit",
      "[Match]\nUnit=*\nEvent=stopped started\n[Hook]\nExec=/bin/true\nRateLimitIntervalSec=10s\nRateLimitBurst=2\nPreviousBoots=yes\n"
    ),
    ("90-answer", "[Match]\nUnit=nothing.service\n[Hook]\nExec=/bin/true\nPreviousBoots=yes\n"),
  ]
  private static let retry =
    "[Match]\nUnit=*\nEvent=stopped started\n[Hook]\nExec=/bin/false\nRetryCount=2\nRetryDelaySec=1s\nPreviousBoots=yes\n"

  /// Makes some directories below another.
  package static func make(in parent: String) -> [HookSet] {
    let choices: [[Int]] = [[], [0, 3], [1], [2, 7], [3, 4], [5], [6], [0, 1, 3]]
    return choices.enumerated().map { number, others in
      let directory = "\(parent)/hooks\(number)"
      mkdir(directory, 0o755)
      let hooks =
        [all] + others.map { (name: self.others[$0].name, text: self.others[$0].text + "TimeoutSec=5s\n") }
      for hook in hooks {
        let file = open("\(directory)/\(hook.name).hook", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        _ = hook.text.withCString { write(file, $0, strlen($0)) }
        close(file)
      }
      return HookSet(directory: directory, names: hooks.map(\.name))
    }
  }

  /// Removes directories that were made, and their parent.
  package static func remove(_ sets: [HookSet], in parent: String) {
    for set in sets {
      for name in set.names { unlink("\(set.directory)/\(name).hook") }
      rmdir(set.directory)
    }
    rmdir(parent)
  }

  // MARK: What is expected of them

  /// Whether a hook is for an event. This says it once more, and not by the program's own means.
  static func isFor(_ hook: String, _ event: SeenEvent) -> Bool {
    let isTurn = event.kind == "stopped" || event.kind == "started"
    return switch hook {
    case "10-all": true
    case "20-down": event.kind == "stopped" && event.restartJob != true && event.unit.hasSuffix(".service")
    case "50-parallel": event.kind == "started"
    case "90-answer": false
    default: isTurn
    }
  }

  /// Whether a failed run of a hook is tried again.
  static func isRetried(_ hook: String) -> Bool { hook.hasSuffix("fails") }

  /// Whether a run of a hook may have a state in the end.
  static func mayEnd(_ hook: String, _ state: String, hasBooted: Bool, areOthers: Bool) -> Bool {
    // A hook that is not there any more.
    if areOthers, ["stale", "refused", "interrupted"].contains(state) { return true }
    return switch state {
    case "succeeded", "failed", "timed-out": true
    case "superseded": ["30-fails", "31-fails", "40-settle", "60-latest", "70-limit"].contains(hook)
    case "rate-limited": hook == "70-limit"
    case "stale": hasBooted && ["50-parallel", "60-latest"].contains(hook)
    default: false
    }
  }
}
