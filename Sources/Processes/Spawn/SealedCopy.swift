internal import CSpawn
internal import Glibc
package import Systemd
package import TrustedFiles

/// A copy of a script in memory that nobody can change.
///
/// Shells read a script while they run it, so a script that is overwritten while it runs would continue in the new text. An ELF
/// program needs no copy, because the kernel does not let anybody write to its file while it runs (ETXTBSY).
package enum SealedCopy {
  /// The largest file that is copied, in bytes. A larger one, such as a self-extracting archive, is run from its file.
  static let limit = 64 << 20

  /// Copies a file that was checked.
  ///
  /// - Returns: a descriptor, which the caller closes; nil for a file that needs no copy or gets none: an ELF program, a file
  ///   that may be executed and not read, and a file over the limit.
  /// - Throws: `SpawnError` with `ETXTBSY` if the file is being written; `SystemError` if the copy cannot be made.
  package static func make(of file: borrowing TrustedFile) throws -> Int32? {
    let source = file.descriptor.rawValue
    var magic: [UInt8] = [0, 0, 0, 0]
    guard file.identity.size <= limit, unsafe pread(source, &magic, 4, 0) > 0, magic != [0x7F] + Array("ELF".utf8)
    else {
      return nil
    }
    // The kernel checks the same before it executes a file.
    if cspawn_is_being_written(source) { throw SpawnError(step: .execute, code: ETXTBSY) }
    let number = try SystemError.checkErrno(
      unsafe cspawn_sealable_file("journalhook-script"), "make a copy in memory", path: file.path)
    let copy = OwnedDescriptor(number)
    let size = Int(file.identity.size)
    var offset: off_t = 0
    while offset < size {
      let count = unsafe sendfile(number, source, &offset, size - offset)
      if count == 0 { break }
      if count < 0, errno != EINTR { throw SystemError("copy", path: file.path) }
    }
    // Everybody who has the descriptor may read and execute the copy. Whether the hook's user may execute the original is
    // checked when the process is created.
    try SystemError.checkErrno(fchmod(number, 0o555), "make a copy in memory", path: file.path)
    try SystemError.checkErrno(cspawn_seal(number), "make a copy in memory", path: file.path)
    guard offset == size, file.isUnchanged else { throw SpawnError(step: .execute, code: ETXTBSY) }
    return copy.release()
  }

  /// Whether an error means that this system lacks or forbids memfd_create(2), so that no copy can be made at all.
  package static func isImpossible(_ error: SystemError) -> Bool { [ENOSYS, EPERM, EACCES].contains(error.code) }
}
