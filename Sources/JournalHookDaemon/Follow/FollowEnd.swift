internal import Runs
internal import Systemd

/// The end of following: what runs has its time, and is cut off after that.
final class FollowEnd {
  private let engine: RunEngine
  private var timer: Timer?

  /// How long the runs under way have to end at SIGTERM, in microseconds.
  static let drainTime: UInt64 = 120_000_000
  /// How long runs that are cut off have to end, in microseconds: with the drain less than TimeoutStopSec= of the service.
  static let cutOffTime: UInt64 = 30_000_000

  init(_ engine: RunEngine) { self.engine = engine }

  /// Ends the process when the runs under way have ended: within two minutes, or at once when asked again.
  func begin() {
    ServiceNotifier.stopping(status: "Waiting for the runs under way.")
    interruptWaitingForUs()
    if engine.executor.isQuiet { return engine.loop.exit(0) }
    timer = engine.timers.call(in: FollowEnd.drainTime) { [unowned self] in cutOff() }
  }

  /// A hook that stops or restarts journalhook itself and waits for that would wait for itself.
  private func interruptWaitingForUs() {
    guard let unit = ownUnit() else { return }
    for run in engine.executor.interruptRuns(actingOn: unit) {
      engine.reporter.say(
        "Run \(run.id) of hook \(run.hook) waits for the end of \(unit), which is journalhook itself: it is ended. Use "
          + "systemctl's --no-block there.", .trouble, priority: .warning)
    }
  }

  /// Ends the runs under way. What then still hinders ending is left to the next start, which knows how to deal with it.
  func cutOff() {
    engine.executor.interruptAll()
    if engine.executor.isQuiet { return engine.loop.exit(0) }
    timer = engine.timers.call(in: FollowEnd.cutOffTime) { [engine] in
      engine.reporter.say(
        "Ending although runs are under way or could not be written down; the next start deals with them.", .trouble,
        priority: .error)
      engine.loop.exit(1)
    }
  }
}
