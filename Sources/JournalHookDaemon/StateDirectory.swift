internal import Glibc
internal import Systemd

extension Ledger {
  /// Refuses a state directory that others than root could change: whoever can replace the ledger decides what is run.
  ///
  /// A folder of root's in a sticky one (/tmp) is safe: others can neither rename nor remove it. Another user's journalhook
  /// runs nothing but that user's hooks, and does what its folders' modes make of it: with umask 002, as some distributions
  /// have it, home directories are writable for a group of nobody else.
  static func checkTrust(in stateDirectory: String) throws(LedgerError) {
    guard geteuid() == 0 else { return }
    guard let real = unsafe realpath(stateDirectory, nil) else { return }
    defer { unsafe free(real) }
    let path = unsafe String(cString: real)
    let names = path.split(separator: "/")
    for count in 0...names.count {
      let folder = "/" + names.prefix(count).joined(separator: "/")
      var status = stat()
      guard unsafe stat(folder, &status) == 0 else { continue }
      let isSticky = status.st_mode & S_ISVTX != 0 && count < names.count
      let problem: String? =
        if status.st_uid != 0 {
          "is owned by another user (uid \(status.st_uid))"
        } else if status.st_mode & 0o022 != 0, !isSticky {
          "can be changed by others (mode \(String(status.st_mode & 0o7777, radix: 8)))"
        } else {
          nil
        }
      guard let problem else { continue }
      throw LedgerError(
        kind: .unusable,
        description:
          "The state directory \(stateDirectory) is refused: \(folder) \(problem). What is in it decides what is "
          + "run: use a folder that only root can change, such as /var/lib/journalhook.")
    }
  }
}
