import Glibc
import Systemd
import TestSupport

@testable import RunLedger

/// What `follow` finds when it starts after a power cut.
enum OpenedState {
  case ledger(LedgerContent, check: String)
  case setAside(LedgerDamage)
  case refused(String)
}

/// A state directory on the real file system: opening a ledger for following also needs the files beside the database.
///
/// It is in memory, as far as the machine has a place for that.
final class RealDirectory {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Writes a state of the disk to the directory, and starts there as the daemon does.
  ///
  /// - Parameter time: when the files were written last, in microseconds since 1970.
  func open(_ state: Platter.State, time: UInt64) throws -> OpenedState {
    try clear()
    for (name, bytes) in state { try write(bytes, to: String(name.split(separator: "/").last ?? ""), time) }
    do {
      let ledger = try Ledger.openForFollowing(stateDirectory: directory.path)
      if let damage = ledger.damage { return .setAside(damage) }
      let check = try ledger.database.query("PRAGMA integrity_check").first?.first?.text ?? "no answer"
      return .ledger(try LedgerContent(ledger.database), check: check)
    } catch let error as SQLiteError {
      return .refused("\(error)")
    } catch let error as LedgerError {
      return .refused("\(error)")
    }
  }

  private func write(_ bytes: [UInt8], to name: String, _ time: UInt64) throws {
    let path = "\(directory.path)/\(name)"
    let file = try OwnedDescriptor.open2(path, O_WRONLY | O_CREAT | O_TRUNC)
    try SystemError.checkErrno(
      Glibc.write(file.rawValue, bytes, bytes.count) == bytes.count ? 0 : -1, "write", path: path)
    let written = timespec(tv_sec: Int(time / 1_000_000), tv_nsec: Int(time % 1_000_000) * 1000)
    try SystemError.checkErrno(futimens(file.rawValue, [written, written]), "set the time of", path: path)
  }

  private func clear() throws {
    guard let stream = opendir(directory.path) else { throw SystemError("opendir", path: directory.path) }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { unlink("\(directory.path)/\(name)") }
    }
  }
}
