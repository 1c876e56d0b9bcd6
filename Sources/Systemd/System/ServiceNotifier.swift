internal import CSystemd
internal import Glibc

/// Tells the service manager how the service is doing (sd_notify(3)). Does nothing when it was not started by one.
public enum ServiceNotifier {
  /// The service is up.
  public static func ready(status: String) { notify("READY=1\nSTATUS=\(oneLine(status))") }

  /// A line for `systemctl status`.
  public static func status(_ status: String) { notify("STATUS=\(oneLine(status))") }

  /// The service is going down.
  public static func stopping(status: String) { notify("STOPPING=1\nSTATUS=\(oneLine(status))") }

  /// The configuration is being read again; `ready` ends it.
  public static func reloading(monotonic: UInt64) { notify("RELOADING=1\nMONOTONIC_USEC=\(monotonic)") }

  /// A sign of life.
  public static func watchdog() { notify("WATCHDOG=1") }

  /// The time within which the manager wants a sign of life, in microseconds; nil when it wants none.
  public static func watchdogInterval() -> UInt64? {
    var interval: UInt64 = 0
    return unsafe sd_watchdog_enabled(0, &interval) > 0 && interval > 0 ? interval : nil
  }

  /// Whether a service manager is listening.
  public static func isSupervised() -> Bool { unsafe getenv("NOTIFY_SOCKET") != nil }

  private static func notify(_ state: String) { _ = unsafe sd_notify(0, state) }

  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).joined(separator: " ")
  }
}
