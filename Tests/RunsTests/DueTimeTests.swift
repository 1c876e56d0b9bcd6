import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import Runs

@Suite struct DueTimeTests {
  private let now = DueTime(monotonic: 50, realtime: 1000)

  private func event(boot: String, realtime: UInt64 = 900, monotonic: UInt64 = 30) -> LifecycleEvent {
    LifecycleEvent(
      id: "", kind: .stopped, unit: "a.service", realtime: realtime, monotonic: monotonic, boot: boot, machine: "m")
  }

  @Test(
    arguments: [
      // Of this boot the monotonic clock counts, whatever the wall clock says.
      ("this", 900, 300, 330), ("this", 9000, 300, 330), ("this", 900, .max, .max),
      // Of another boot the time that has passed since is known only by the wall clock.
      ("other", 900, 300, 250), ("other", 900, 100, 50), ("other", 900, 99, 50), ("other", 1, 300, 50),
      // A clock that was ahead makes nothing wait longer than it was to.
      ("other", 9000, 300, 350),
    ] as [(String, UInt64, UInt64, UInt64)])
  func afterAnEvent(boot: String, realtime: UInt64, delay: UInt64, monotonic: UInt64) {
    let due = DueTime(delay, after: event(boot: boot, realtime: realtime), boot: "this", now: now)
    #expect(due.monotonic == monotonic)
    #expect(due.realtime == (delay == .max ? .max : realtime + delay))
  }

  @Test(
    arguments: [
      (1300, 900, 350), (1000, 900, 50), (999, 900, 50), (nil, 900, 50),
      // The clock was set back by much since; or it was ahead when the wait began.
      (9000, 8900, 150), (1300, 1400, 50),
    ] as [(UInt64?, UInt64, UInt64)])
  func inALaterBoot(realtime: UInt64?, since: UInt64, monotonic: UInt64) {
    #expect(DueTime.monotonic(of: realtime, since: since, now: now) == monotonic)
  }
}
