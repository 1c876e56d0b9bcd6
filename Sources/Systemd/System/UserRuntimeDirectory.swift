internal import Glibc

/// The runtime directory of the calling user, which exists while the user is logged in or lingers (pam_systemd(8)).
public enum UserRuntimeDirectory {
  /// `$XDG_RUNTIME_DIR`. If that is not set, as in a shell of su(1), the path at which systemd-logind creates the directory.
  public static var path: String {
    if let directory = unsafe getenv("XDG_RUNTIME_DIR"), unsafe directory.pointee == CChar(UInt8(ascii: "/")) {
      return unsafe String(cString: directory)
    }
    return "/run/user/\(geteuid())"
  }
}
