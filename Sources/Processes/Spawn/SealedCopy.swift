internal import CSpawn
internal import Glibc
package import Systemd
package import TrustedFiles

/// A copy of a script in memory that nobody can change.
///
/// Shells read a script as they go, so one that is overwritten while it runs would go on in the new text. The file of a
/// program for the machine cannot be written as long as it runs; that one needs no copy.
package enum SealedCopy {
  /// What is larger, an archive that unpacks itself say, is run from its file.
  static let limit = 64 << 20

  /// Copies what was checked.
  ///
  /// - Returns: a descriptor, to be closed by the caller; nil for what is run from its file: programs for the machine, files that may be executed but not read, and those over the
  ///   limit.
  /// - Throws: `SpawnError` of `ETXTBSY` if the file is being written; `SystemError` if there can be no copy.
  package static func make(of file: borrowing TrustedFile) throws -> Int32? {
    let source = file.descriptor.rawValue
    var magic: [UInt8] = [0, 0, 0, 0]
    guard file.identity.size <= limit, unsafe pread(source, &magic, 4, 0) > 0, magic != [0x7F] + Array("ELF".utf8)
    else {
      return nil
    }
    // As the kernel does before it executes a file.
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
    // Whoever holds the descriptor may read and execute it; who may have it was checked by the original.
    try SystemError.checkErrno(fchmod(number, 0o555), "make a copy in memory", path: file.path)
    try SystemError.checkErrno(cspawn_seal(number), "make a copy in memory", path: file.path)
    guard offset == size, file.isUnchanged else { throw SpawnError(step: .execute, code: ETXTBSY) }
    return copy.release()
  }

  /// Whether no copy can be made on this system at all: there is no memfd_create(2), or it is forbidden.
  package static func isImpossible(_ error: SystemError) -> Bool { [ENOSYS, EPERM, EACCES].contains(error.code) }
}
