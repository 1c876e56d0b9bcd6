internal import Glibc
internal import Systemd

/// Ends what runs of a dead journalhook have left behind, and writes them down as interrupted; takes over those of replays
/// that were killed.
func recoverFromCrash(_ ledger: Ledger, owner: String, _ reporter: Reporter) throws {
  for other in try ledger.owners() where RunOwner(other)?.isAlive == false {
    try ledger.changeOwner(from: other, to: owner)
  }
  for left in try ledger.containers(owner: owner) {
    do {
      var container = try RunContainer(restoring: left.path, stateDirectory: ledger.stateDirectory)
      // KILL at once: who asked them to end nicely is dead, and the next attempt must not meet them.
      for _ in 0..<200 where !container.isEmpty() {
        container.kill()
        _ = poll(nil, 0, 10)
      }
      if !container.isEmpty() {
        reporter.say(
          "Processes of run \(left.run) in \(left.path) do not end, even by SIGKILL; they may wait for a device.",
          .trouble,
          priority: .error)
      }
      _ = container.remove()
    } catch {
      reporter.say("What run \(left.run) has left behind cannot be found: \(error).", .trouble, priority: .warning)
    }
  }
  try ledger.forgetContainers(owner: owner)
  for run in try ledger.failUndecodable(now: Clock.now().microseconds) {
    reporter.say("Run \(run) cannot be read from the ledger: failed.", .runFailed, priority: .error)
  }
  for run in try ledger.interruptRunning(owner: owner, now: Clock.now().microseconds) {
    reporter.say(
      "Run \(run.run) of hook \(run.hook) was cut off by the end of journalhook"
        + (run.gaveUp ? " once too often: failed." : "; it will be run again."), .runInterrupted, priority: .warning)
  }
}

/// One process that does runs of its own beside `follow`: a replay.
struct RunOwner {
  private let pid: pid_t
  /// In clock ticks since boot, as in /proc/PID/stat: a number that is used again does not have the same.
  private let startTime: UInt64

  /// This process.
  init() {
    pid = getpid()
    startTime = RunOwner.startTime(of: pid) ?? 0
  }

  /// Reads a name; nil when it is not one of these.
  init?(_ name: String) {
    let parts = name.split(separator: "-")
    guard parts.count == 3, parts[0] == "replay", let pid = pid_t(parts[1]), let time = UInt64(parts[2]) else {
      return nil
    }
    self.pid = pid
    startTime = time
  }

  /// Its name in the ledger.
  var name: String { "replay-\(pid)-\(startTime)" }

  var isAlive: Bool { RunOwner.startTime(of: pid) == startTime }

  private static func startTime(of pid: pid_t) -> UInt64? {
    // The second field is the command's name in parentheses and may hold anything; the 22nd is the start time (proc(5)).
    guard let text = readText("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[end...].split(separator: " ")
    return fields.count > 20 ? UInt64(fields[20]) : nil
  }
}
