internal import Glibc
internal import Runs
internal import Systemd

/// Keeps every other follower away from a state directory for as long as it exists.
package struct LedgerLock: ~Copyable {
  private let descriptor: CInt

  /// How long to wait for the lock of a follower that has ended, in microseconds.
  private static let patience: UInt64 = 1_000_000

  /// - Throws: `LedgerError` of kind `locked`, naming the process that holds it.
  package init(stateDirectory: String) throws {
    let path = "\(stateDirectory)/follow.lock"
    descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw LedgerError(
        kind: .unusable,
        description: "\(SystemError("Cannot open", path: path)). "
          + (geteuid() == 0 ? "Check that it is writable" : "Run as root, or with --user for your own units")
          + ", or name another state directory with --state-dir.")
    }
    let end = Clock.monotonic() + LedgerLock.patience
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let reason = SystemError("Cannot lock", path: path)
      let holder = LedgerLock.holder(in: stateDirectory)
      // A process has its parent's lock until it executes its program. Of a follower that was killed just then, it ends.
      if reason.code == EWOULDBLOCK, holder?.isAlive != true, Clock.monotonic() < end {
        _ = poll(nil, 0, 10)
        continue
      }
      close(descriptor)
      guard reason.code == EWOULDBLOCK else { throw LedgerError(kind: .unusable, description: "\(reason)") }
      guard let holder, holder.isAlive else {
        throw LedgerError(
          kind: .locked,
          description:
            "The lock \(path) is held by a process that a journalhook follow has left behind when it was killed. "
            + "End that process (fuser -v \(path) shows it), or name another state directory with --state-dir.")
      }
      throw LedgerError(
        kind: .locked,
        description: "Another journalhook follow (process \(holder.pid)) already follows with the state directory "
          + "\(stateDirectory). Stop it first, or name another directory with --state-dir.")
    }
    ftruncate(descriptor, 0)
    let text = Array("\(RunOwner().text)\n".utf8)
    _ = unsafe pwrite(descriptor, text, text.count, 0)
  }

  deinit { close(descriptor) }

  /// Whether somebody follows with a state directory; nil if that cannot be told.
  package static func isHeld(in stateDirectory: String) -> Bool? {
    if let holder = holder(in: stateDirectory) { return holder.isAlive }
    return unsafe access("\(stateDirectory)/follow.lock", R_OK) != 0 && errno == ENOENT ? false : nil
  }

  /// Who followed last with a state directory; nil if nobody ever did.
  static func holder(in stateDirectory: String) -> RunOwner? {
    readText("\(stateDirectory)/follow.lock").flatMap { RunOwner(text: $0) }
  }
}
