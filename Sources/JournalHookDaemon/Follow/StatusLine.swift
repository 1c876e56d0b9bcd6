internal import Runs
internal import Systemd

/// Tells the service manager the state, for `systemctl status`.
final class StatusLine {
  private let timers: any Timers
  /// The state now.
  var state: () -> FollowStatus = { FollowStatus() }
  /// Until when hooks are suspended, in microseconds since 1970; nil if none is.
  var suspendedUntil: () -> UInt64? = { nil }
  private var last = ""
  private var timer: Timer?

  init(timers: any Timers) { self.timers = timers }

  /// The state that `systemctl status` shows.
  var text: String { state().text }

  /// Sends the state to the manager, if it has changed since the last time.
  func update() {
    let now = text
    if now == last { return }
    last = now
    ServiceNotifier.status(now)
    timer = suspendedUntil().map { until in
      let realtime = timers.realtime
      return timers.call(in: until - min(until, realtime), accuracy: 1_000_000) { [unowned self] in update() }
    }
  }
}
