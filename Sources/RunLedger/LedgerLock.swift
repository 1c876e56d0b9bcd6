internal import Glibc
internal import Runs
internal import Systemd

/// The lock of a state directory. As long as this value exists, no other `follow` can use the directory.
package struct LedgerLock: ~Copyable {
  private let file: OwnedDescriptor

  /// How long to wait for the lock of a `follow` that has ended, in microseconds.
  private static let patience: UInt64 = 1_000_000

  /// Locks a state directory.
  ///
  /// - Throws: `LedgerError`. Kind `locked` names the process that holds the lock.
  package init(stateDirectory: String) throws {
    file = try LedgerLock.lock(stateDirectory)
  }

  private static func lock(_ stateDirectory: String) throws -> OwnedDescriptor {
    let path = "\(stateDirectory)/follow.lock"
    // Closed by its owner, also when this throws.
    let file = try LedgerLock.open(path)
    let end = Clock.monotonic() + LedgerLock.patience
    while flock(file.rawValue, LOCK_EX | LOCK_NB) != 0 {
      let reason = SystemError("Cannot lock", path: path)
      let holder = LedgerLock.holder(in: stateDirectory)
      // A new process shares the lock of its parent until it executes its program. If follow was killed at that moment, the new
      // process ends, too, within this time.
      if reason.code == EWOULDBLOCK, holder?.isAlive != true, Clock.monotonic() < end {
        _ = poll(nil, 0, 10)
        continue
      }
      guard reason.code == EWOULDBLOCK else { throw LedgerError(kind: .unusable, description: "\(reason)") }
      guard let holder, holder.isAlive else {
        throw LedgerError(
          kind: .locked,
          description:
            "The lock \(path) is held by a process that was left behind when a journalhook follow was killed. "
            + "End that process (fuser -v \(path) shows it), or name another state directory with --state-dir.")
      }
      throw LedgerError(
        kind: .locked,
        description: "Another journalhook follow (process \(holder.pid)) is already running with the state directory "
          + "\(stateDirectory). Stop it first, or name another directory with --state-dir.")
    }
    let text = Array("\(RunOwner().text)\n".utf8)
    // In this order: at no moment is the file empty. What is left of a longer text is another line.
    _ = unsafe pwrite(file.rawValue, text, text.count, 0)
    ftruncate(file.rawValue, off_t(text.count))
    return file
  }

  private static func open(_ path: String) throws -> OwnedDescriptor {
    let descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw LedgerError(
        kind: .unusable,
        description: "\(SystemError("Cannot open", path: path)). "
          + (geteuid() == 0 ? "Check that it is writable" : "Run as root, or with --user for your own units")
          + ", or name another state directory with --state-dir.")
    }
    return OwnedDescriptor(descriptor)
  }

  /// Whether `follow` is running with a state directory; nil if that cannot be found out.
  package static func isHeld(in stateDirectory: String) -> Bool? {
    if let holder = holder(in: stateDirectory) { return holder.isAlive }
    return unsafe access("\(stateDirectory)/follow.lock", R_OK) != 0 && errno == ENOENT ? false : nil
  }

  /// The last `follow` that has run with a state directory; nil if there was none.
  static func holder(in stateDirectory: String) -> RunOwner? {
    readText("\(stateDirectory)/follow.lock").flatMap { RunOwner(text: $0.prefix { $0 != "\n" }) }
  }
}
