internal import CSystemd
internal import Glibc

/// Reports the state of this service to the service manager (sd_notify(3)). Does nothing if no service manager has started
/// this process.
public enum ServiceNotifier {
  /// The service has finished starting or reloading.
  public static func ready(status: String) { notify("READY=1\nSTATUS=\(oneLine(status))") }

  /// Sets the status line that `systemctl status` shows.
  public static func status(_ status: String) { notify("STATUS=\(oneLine(status))") }

  /// The service is stopping.
  public static func stopping(status: String) { notify("STOPPING=1\nSTATUS=\(oneLine(status))") }

  /// The service is reloading its configuration, until it calls `ready`.
  ///
  /// - Parameter monotonic: the time of CLOCK_MONOTONIC at which the reload began, in microseconds.
  public static func reloading(monotonic: UInt64) { notify("RELOADING=1\nMONOTONIC_USEC=\(monotonic)") }

  /// Resets the watchdog timer.
  public static func watchdog() { notify("WATCHDOG=1") }

  /// The time within which the manager expects `watchdog()`, in microseconds; nil if the watchdog is off.
  public static func watchdogInterval() -> UInt64? {
    var interval: UInt64 = 0
    return unsafe sd_watchdog_enabled(0, &interval) > 0 && interval > 0 ? interval : nil
  }

  /// Whether a service manager expects notifications from this process.
  public static func isSupervised() -> Bool { unsafe getenv("NOTIFY_SOCKET") != nil }

  private static func notify(_ state: String) { _ = unsafe sd_notify(0, state) }

  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).joined(separator: " ")
  }
}
