/// The boot that a machine is in: its `_BOOT_ID`, and how far it is from the last soft reboot.
///
/// A soft reboot (systemd 254 and later, systemd-soft-reboot.service(8)) ends all units and starts them again, and keeps the
/// `_BOOT_ID` and the monotonic clock. The manager's `UserspaceTimestampMonotonic` is the time at which the new userspace
/// began: after all that the old one has logged, before all that the new one does (seen on systemd 257).
package struct CurrentBoot: Sendable, Hashable {
  /// The `_BOOT_ID`: 32 hexadecimal digits.
  package var id: String
  /// When the last soft reboot was, in microseconds since the boot; 0 if there was none.
  package var softReboot: UInt64
  /// When the present userspace began, after the initial RAM disk if there is one, in microseconds since the boot; 0 where
  /// that is not known.
  package var userspace: UInt64 = 0

  package init(id: String, softReboot: UInt64 = 0) {
    self.id = id
    self.softReboot = softReboot
  }

  /// Whether the machine has booted since an entry or an event.
  ///
  /// - Parameter monotonic: its time in microseconds since its boot.
  package func isLater(than boot: String, _ monotonic: UInt64) -> Bool { boot != id || monotonic < softReboot }

  /// Whether the machine has booted since an event.
  package func isLater(than event: LifecycleEvent) -> Bool { isLater(than: event.boot, event.monotonic) }
}
