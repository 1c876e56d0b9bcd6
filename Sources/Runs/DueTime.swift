package import Lifecycle

/// When a wait is over, on two clocks.
///
/// In the boot in which it began the monotonic clock counts, which nobody can set. It starts again at zero with each boot; from then on
/// the wall clock counts.
package struct DueTime: Sendable, Equatable {
  /// Microseconds of CLOCK_MONOTONIC.
  package var monotonic: UInt64
  /// Microseconds since 1970.
  package var realtime: UInt64

  package init(monotonic: UInt64, realtime: UInt64) {
    self.monotonic = monotonic
    self.realtime = realtime
  }

  /// This time and a number of microseconds.
  package func adding(_ delay: UInt64) -> DueTime {
    DueTime(monotonic: DueTime.sum(monotonic, delay), realtime: DueTime.sum(realtime, delay))
  }

  /// A time a number of microseconds after an event.
  ///
  /// - Parameters:
  ///   - boot: the boot that this machine is in.
  ///   - now: the time, on its clocks.
  package init(_ delay: UInt64, after event: LifecycleEvent, boot: String, now: DueTime) {
    realtime = DueTime.sum(event.realtime, delay)
    if event.boot == boot {
      monotonic = DueTime.sum(event.monotonic, delay)
    } else {
      // A clock that was wrong must not make it wait longer than it was to.
      let left = realtime > now.realtime ? min(realtime - now.realtime, delay) : 0
      monotonic = DueTime.sum(now.monotonic, left)
    }
  }

  /// What is left of a wait that began in an earlier boot, as a time of this one.
  ///
  /// - Parameters:
  ///   - realtime: when it is over, in microseconds since 1970; nil if that is not known: now.
  ///   - since: when it began.
  ///   - now: the time, on this boot's clocks.
  package static func monotonic(of realtime: UInt64?, since: UInt64, now: DueTime) -> UInt64 {
    guard let realtime, realtime > now.realtime, realtime > since else { return now.monotonic }
    return sum(now.monotonic, min(realtime - now.realtime, realtime - since))
  }

  /// `infinity` stays where it is.
  private static func sum(_ time: UInt64, _ delay: UInt64) -> UInt64 {
    let (sum, isOver) = time.addingReportingOverflow(delay)
    return isOver ? .max : sum
  }
}
