internal import Glibc
internal import HookFiles
internal import Hooks
internal import Processes
internal import RunLedger
internal import Runs
internal import Systemd

/// Ends what runs of a dead journalhook have left behind, and writes them down as interrupted; takes over those of replays
/// that were killed.
///
/// - Parameter isStale: whether a run is of an earlier boot, and its hook only for this one.
/// - Returns: the runs that have failed thereby.
func recoverFromCrash(
  _ ledger: Ledger, owner: String, hooks: HookStore, _ host: any RunHost, _ reporter: Reporter, now: UInt64,
  isStale: (Run) -> Bool
) throws -> [Int64] {
  let failed = try recoverFromDeadReplays(
    ledger, owner: owner, hooks: hooks, host, reporter, now: now, isStale: isStale)
  for run in try ledger.failUndecodable(now: now) {
    reporter.say("Run \(run) cannot be read from the ledger: failed.", .runFailed, priority: .error)
  }
  return try failed + endRuns(of: owner, ledger, hooks, host, reporter, now, isStale)
}

/// Takes over the runs of replays that were killed.
///
/// - Parameter isStale: whether a run is of an earlier boot, and its hook only for this one.
/// - Returns: the runs that have failed thereby.
func recoverFromDeadReplays(
  _ ledger: Ledger, owner: String, hooks: HookStore, _ host: any RunHost, _ reporter: Reporter, now: UInt64,
  isStale: (Run) -> Bool
) throws -> [Int64] {
  var failed: [Int64] = []
  for other in try ledger.owners() where other != RunOwner.follow && ledger.isAlive(other) == false {
    failed += try endRuns(of: other, ledger, hooks, host, reporter, now, isStale)
    try ledger.changeOwner(from: other, to: owner)
  }
  return failed
}

/// Ends what is left of a dead owner's runs, and writes them down as interrupted.
private func endRuns(
  of owner: String, _ ledger: Ledger, _ hooks: HookStore, _ host: any RunHost, _ reporter: Reporter, _ now: UInt64,
  _ isStale: (Run) -> Bool
) throws -> [Int64] {
  for place in try ledger.containers(owner: owner) { reporter.endLeftovers(in: place, host) }
  try ledger.forgetContainers(owner: owner)
  let interrupted = try ledger.interruptRunning(owner: owner, now: now) {
    hooks.hook(named: $0)?.definition.rerunInterrupted ?? true
  }
  for run in interrupted {
    let consequence =
      switch run.what {
      // What becomes of it then is reported by itself.
      case .rerun where try ledger.runs(where: "id = ?", [.integer(run.run)]).contains(where: isStale): ""
      case .rerun: "; it will be run again"
      case .gaveUp: " once too often: failed"
      case .left: "; it is not run again, as its hook says RerunInterrupted=no"
      }
    reporter.say(
      "Run \(run.run) of hook \(run.hook) was cut off by the end of journalhook\(consequence).", .runInterrupted,
      priority: .warning)
  }
  return interrupted.filter { $0.what == .gaveUp }.map(\.run)
}

extension Reporter {
  /// Ends what a run has left in a place, and tells if that is not possible.
  func endLeftovers(in place: String, _ host: any RunHost) {
    do {
      if try !host.endLeftovers(in: place) {
        say(
          "Processes of a hook in \(place) do not end, even by SIGKILL; they may wait for a device.", .trouble,
          priority: .error)
      }
    } catch {
      say("What a hook has left behind in \(place) cannot be found: \(error).", .trouble, priority: .warning)
    }
  }
}
