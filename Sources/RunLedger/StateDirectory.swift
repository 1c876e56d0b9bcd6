internal import Glibc
internal import Systemd
internal import TrustedFiles

extension Ledger {
  /// Refuses a state directory that others than root could change: whoever can replace the ledger decides what is run.
  ///
  /// A directory of root's in a sticky one (/tmp) is safe, and so is a link of root's: others can neither rename nor remove it.
  /// Another user's journalhook runs nothing but that user's hooks, and does what its directories' modes make of it: with umask
  /// 002, as some distributions have it, home directories are writable for a group of nobody else.
  static func checkTrust(in stateDirectory: String) throws(LedgerError) {
    guard geteuid() == 0 else { return }
    do throws(TrustError) { _ = try TrustedDirectory.open(evenInSticky: stateDirectory) } catch {
      throw LedgerError(
        kind: .unusable,
        description: "The state directory \(stateDirectory) is refused: \(error). What is in it decides what is run: "
          + "use a directory that only root can change, such as /var/lib/journalhook.")
    }
  }
}
