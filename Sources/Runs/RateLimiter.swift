package import Hooks
package import Lifecycle
internal import Systemd

/// `RateLimitIntervalSec=` and `RateLimitBurst=`: how many runs of a hook a unit may cause in a span of event time.
///
/// Over the limit the last event's run waits for the interval to end; the run that waited before it is given up.
package struct RateLimiter: Sendable {
  /// What to do with a run.
  package enum Verdict: Sendable, Equatable {
    case pass
    /// It waits this number of microseconds after its event. The run for the event with the id `instead` is dropped.
    case wait(UInt64, instead: String?)
  }

  /// What is counted together.
  package struct Key: Sendable, Hashable {
    package var hook: String
    package var machine: String
    /// A unit, or a pattern for those that count as one.
    package var units: String

    package init(hook: String, machine: String, units: String) {
      self.hook = hook
      self.machine = machine
      self.units = units
    }
  }

  /// An interval and what was counted in it.
  package struct Window: Sendable, Equatable {
    /// Event time in microseconds since 1970.
    package var start: UInt64
    /// Microseconds.
    package var interval: UInt64
    package var count: UInt32
    /// The id of the event whose run waits for the end of the interval.
    package var waiting: String?

    package init(start: UInt64, interval: UInt64, count: UInt32, waiting: String? = nil) {
      self.start = start
      self.interval = interval
      self.count = count
      self.waiting = waiting
    }
  }

  private var windows: [Key: Window] = [:]
  private var changed: Set<Key> = []
  /// When there are more windows than this, those that are over are removed.
  private var room = 256

  /// - Parameter windows: those of an earlier limiter.
  package init(windows: [Key: Window] = [:]) { self.windows = windows }

  /// The windows that have changed since the last call; nil for those that are forgotten.
  package mutating func takeChanges() -> [Key: Window?] {
    defer { changed = [] }
    return Dictionary(uniqueKeysWithValues: changed.map { ($0, windows[$0]) })
  }

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
    // A clock that was set back begins a new window, too.
    if event.realtime < window.start || event.realtime - window.start >= interval {
      // What had waited until then is the first of the next window.
      let end = window.start &+ interval
      let isNext = window.waiting != nil && event.realtime >= end && event.realtime - end < interval
      window = Window(start: isNext ? end : event.realtime, interval: interval, count: isNext ? 1 : 0)
    }
    defer {
      windows[key] = window
      changed.insert(key)
    }
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
    let over = windows.filter { now >= $0.value.start &+ $0.value.interval &* 2 }.keys
    for key in over { windows[key] = nil }
    changed.formUnion(over)
    room = max(256, windows.count * 2)
  }

  /// The units that count as one: the instances of a template, and transient units, each of which is seen once.
  package static func group(of unit: String) -> String {
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
