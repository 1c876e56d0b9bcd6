public import Glibc

/// The owner of a file descriptor. The end of the owner's life closes the descriptor.
public struct OwnedDescriptor: ~Copyable, Sendable {
  /// The number, which calls may use while the owner is alive.
  public let rawValue: Int32

  /// Takes over an open descriptor.
  public init(_ rawValue: Int32) {
    self.rawValue = rawValue
  }

  deinit {
    // Linux frees the number even if close(2) reports an error: a second attempt could close another descriptor.
    _ = close(rawValue)
  }

  /// Gives the descriptor away; the caller closes it.
  public consuming func release() -> Int32 {
    let number = rawValue
    discard self
    return number
  }

  /// Makes a second descriptor of the same open file, with an owner of its own.
  ///
  /// The corresponding C function is `fcntl` with `F_DUPFD_CLOEXEC`.
  public func duplicate() throws(SystemError) -> OwnedDescriptor {
    OwnedDescriptor(try SystemError.checkErrno(fcntl(rawValue, F_DUPFD_CLOEXEC, 0), "duplicate a descriptor"))
  }

  /// Opens a file, always close-on-exec, by its path or by its name in an open directory.
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

  /// Reads the file from its start to its end, but at most `limit` bytes.
  ///
  /// This works also for files that report no size, such as those of /proc. The corresponding C function is `pread`.
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
