internal import Systemd

/// `RateLimitIntervalSec=` and `RateLimitBurst=`: how many runs of a hook a unit may cause in a span of event time.
///
/// Over the limit the last event's run waits for the interval to end; the run that waited before it is given up.
package struct RateLimiter: Sendable {
  /// What to do with a run.
  package enum Verdict: Sendable, Equatable {
    case pass
    /// It waits so many microseconds after its event; the run for the event of this id waits no longer and is given up.
    case wait(UInt64, instead: String?)
  }

  private struct Key: Hashable {
    var hook: String
    var machine: String
    var units: String
  }

  private struct Window {
    /// Event time in microseconds since 1970.
    var start: UInt64
    var interval: UInt64
    var count: UInt32
    /// The event whose run waits for the end of the interval.
    var waiting: String?
  }

  private var windows: [Key: Window] = [:]
  /// So many windows are kept before those that are over are looked for.
  private var room = 256

  package init() {}

  /// The number of windows that are kept.
  var count: Int { windows.count }

  /// Counts a run, and says whether it may begin.
  package mutating func admit(_ event: LifecycleEvent, by hook: Hook) -> Verdict {
    let burst = hook.definition.rateLimitBurst
    let interval = hook.definition.rateLimitInterval.microseconds
    guard burst > 0, interval > 0 else { return .pass }
    forgetSome(at: event.realtime)
    let key = Key(hook: hook.name, machine: event.machine, units: RateLimiter.group(of: event.unit))
    var window = windows[key] ?? Window(start: event.realtime, interval: interval, count: 0)
    // A clock that was set back begins anew, too.
    if event.realtime < window.start || event.realtime - window.start >= interval {
      // What had waited until then is the first of the next window.
      let end = window.start &+ interval
      let isNext = window.waiting != nil && event.realtime >= end && event.realtime - end < interval
      window = Window(start: isNext ? end : event.realtime, interval: interval, count: isNext ? 1 : 0)
    }
    defer { windows[key] = window }
    if window.count < burst {
      window.count += 1
      return .pass
    }
    let instead = window.waiting
    window.waiting = event.id
    return .wait(interval - (event.realtime - window.start), instead: instead)
  }

  private mutating func forgetSome(at now: UInt64) {
    guard windows.count >= room else { return }
    windows = windows.filter { now < $0.value.start &+ $0.value.interval &* 2 }
    room = max(256, windows.count * 2)
  }

  /// The units that count as one: the instances of a template, and transient units, each of which is seen once.
  static func group(of unit: String) -> String {
    let name = UnitName(unit)
    let suffix = name.suffix ?? ""
    if name.instance != nil { return "\(name.prefix)@.\(suffix)" }
    // systemd-run(1) makes services, scopes and what starts them; a run-….mount is not transient.
    if ["service", "scope", "timer", "path", "socket"].contains(suffix) {
      for prefix in ["run-", "session-"] where unit.hasPrefix(prefix) { return "\(prefix)*.\(suffix)" }
    }
    return unit
  }
}
