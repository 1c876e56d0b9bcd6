public import Glibc

/// The owner of a file descriptor, which is closed when its owner ends.
public struct OwnedDescriptor: ~Copyable, Sendable {
  /// The number, to be lent to calls while the owner is alive.
  public let rawValue: Int32

  /// Takes over an open descriptor.
  public init(_ rawValue: Int32) {
    self.rawValue = rawValue
  }

  deinit {
    // Linux frees the number even if it reports an error: a second attempt could close somebody else's.
    _ = close(rawValue)
  }

  /// Gives the descriptor away; the caller closes it.
  public consuming func release() -> Int32 {
    let number = rawValue
    discard self
    return number
  }

  /// Makes a second owner of the same open file.
  ///
  /// The corresponding C function is `fcntl` with `F_DUPFD_CLOEXEC`.
  public func duplicate() throws(SystemError) -> OwnedDescriptor {
    OwnedDescriptor(try SystemError.checkErrno(fcntl(rawValue, F_DUPFD_CLOEXEC, 0), "duplicate a descriptor"))
  }

  /// Opens a file, always close-on-exec, by its path or by its name in a directory that is open.
  ///
  /// The corresponding C function is `openat`.
  public static func open(_ path: String, in directory: Int32 = AT_FDCWD, _ flags: Int32) throws(SystemError)
    -> OwnedDescriptor
  {
    while true {
      let number = unsafe openat(directory, path, flags | O_CLOEXEC)
      if number >= 0 { return OwnedDescriptor(number) }
      if errno != EINTR { throw SystemError("open", path: path) }
    }
  }

  /// Reads all there is, from the start, up to a number of bytes.
  ///
  /// Also of files that tell no size, as those of /proc. The corresponding C function is `pread`.
  public func read(limit: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < limit {
      let offset = bytes.count
      let size = min(limit - offset, max(4096, offset))
      var count = 0
      var failure: Int32 = 0
      let chunk = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
        repeat {
          count = unsafe pread(rawValue, buffer.baseAddress, size, off_t(offset))
          failure = errno
        } while count < 0 && failure == EINTR
        filled = max(0, count)
      }
      if count < 0 { throw SystemError("read", code: failure) }
      if count == 0 { break }
      bytes += chunk
    }
    return bytes
  }
}
