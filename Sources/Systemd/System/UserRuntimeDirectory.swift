internal import Glibc

/// The directory in memory for what belongs to the calling user while logged in or lingering (pam_systemd(8)).
public enum UserRuntimeDirectory {
  /// `$XDG_RUNTIME_DIR`; where that is not set, as in a shell of su(1), where systemd-logind makes it.
  public static var path: String {
    if let directory = unsafe getenv("XDG_RUNTIME_DIR"), unsafe directory.pointee == CChar(UInt8(ascii: "/")) {
      return unsafe String(cString: directory)
    }
    return "/run/user/\(geteuid())"
  }
}
