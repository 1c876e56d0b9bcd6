import Glibc
import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import RunLedger
@testable import Runs

@Suite struct LedgerLockTests {
  /// Locks the file as another process does that has written a text into it.
  private func lock(in directory: TemporaryDirectory, _ text: String) throws -> Int32 {
    let path = try directory.file("follow.lock", text, mode: 0o600)
    let descriptor = open(path, O_RDWR | O_CLOEXEC)
    #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    return descriptor
  }

  @Test func theLockOfADeadFollowerIsWaitedFor() throws {
    let directory = try TemporaryDirectory()
    // No process has this start time.
    let held = try lock(in: directory, "\(getpid())-1\n")
    // The lock is released when the sleep ends, as at the end of a process.
    let inherited = dup(held)
    run("sleep 0.2 &")
    close(inherited)
    close(held)
    _ = try LedgerLock(stateDirectory: directory.path)
  }

  @Test func aLivingFollowerIsNamedAtOnce() throws {
    let directory = try TemporaryDirectory()
    let first = try LedgerLock(stateDirectory: directory.path)
    let begin = ContinuousClock.now
    let error = try #require(throws: LedgerError.self) { _ = try LedgerLock(stateDirectory: directory.path) }
    #expect(ContinuousClock.now - begin < .milliseconds(500))
    #expect(error.description.contains("Another journalhook follow (process \(getpid()))"))
    _ = consume first
  }

  @Test func aProcessThatADeadFollowerHasLeftIsReported() throws {
    let directory = try TemporaryDirectory()
    let held = try lock(in: directory, "\(getpid())-1\n")
    defer { close(held) }
    let error = try #require(throws: LedgerError.self) { _ = try LedgerLock(stateDirectory: directory.path) }
    #expect(error.description.contains("was left behind when a journalhook follow was killed"))
    #expect(error.description.contains("fuser -v \(directory.path)/follow.lock"))
  }
}
