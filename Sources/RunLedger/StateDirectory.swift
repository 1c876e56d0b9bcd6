internal import Glibc
internal import Systemd
internal import TrustedFiles

extension Ledger {
  /// Refuses a state directory that users other than root could change: who can replace the ledger decides what runs as root.
  ///
  /// A directory of root in a sticky directory (/tmp) is safe, and so is a link of root there: others can neither rename nor
  /// remove it. A journalhook of another user runs only the hooks of that user, and its directory is not checked: some
  /// distributions have umask 002, and home directories that are writable for the private group of the user.
  static func checkTrust(in stateDirectory: String) throws(LedgerError) {
    guard geteuid() == 0 else { return }
    do throws(TrustError) { _ = try TrustedDirectory.open(evenInSticky: stateDirectory) } catch {
      throw LedgerError(
        kind: .unusable,
        description:
          "The state directory \(stateDirectory) is refused: \(error). Its content decides what runs as root: "
          + "use a directory that only root can change, such as /var/lib/journalhook.")
    }
  }
}
