internal import Glibc
internal import Systemd

/// What changes the files beside the database, and their names. A test can see in which order that reaches the disk.
protocol LedgerFiles {
  /// Writes a file and waits until its content is on disk. Its name may not be.
  func write(_ text: String, to path: String) throws
  /// Does nothing if there is no such file.
  ///
  /// - Returns: whether there was one.
  func rename(_ path: String, to new: String) throws(SystemError) -> Bool
  /// Removes a file, if there is one.
  func remove(_ path: String)
  /// Waits until the names of a directory's files are on disk.
  func syncDirectory(_ path: String) throws
}

/// The files of the machine.
struct RealFiles: LedgerFiles {
  func write(_ text: String, to path: String) throws {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    defer { close(file) }
    let bytes = Array(text.utf8)
    try SystemError.checkErrno(file, "open", path: path)
    let written = unsafe Glibc.write(file, bytes, bytes.count)
    try SystemError.checkErrno(Int32(clamping: written), "write", path: path)
    // There was room for a part of it.
    guard written == bytes.count else { throw SystemError("write", path: path, code: ENOSPC) }
    try SystemError.checkErrno(fsync(file), "write to disk", path: path)
  }

  func rename(_ path: String, to new: String) throws(SystemError) -> Bool {
    if unsafe Glibc.rename(path, new) == 0 { return true }
    guard errno == ENOENT else { throw SystemError("rename", path: path) }
    return false
  }

  func remove(_ path: String) { _ = unsafe unlink(path) }

  func syncDirectory(_ path: String) throws {
    let directory = try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY)
    try SystemError.checkErrno(fsync(directory.rawValue), "write to disk", path: path)
  }
}
