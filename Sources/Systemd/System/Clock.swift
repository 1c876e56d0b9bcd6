internal import CSystemd
internal import Glibc

/// The kernel's clocks.
public enum Clock {
  /// Wall-clock time.
  public static func now() -> Timestamp { Timestamp(microseconds: read(CLOCK_REALTIME)) }

  /// CLOCK_MONOTONIC in microseconds: the time since boot that journal entries carry.
  public static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

  private static func read(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
  }
}
