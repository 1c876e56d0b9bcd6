internal import Glibc

/// The two ends of a pipe, both close-on-exec.
package struct Pipe: ~Copyable {
  /// The capacity of a new pipe in bytes (pipe(7)).
  package static let defaultCapacity = 65536

  /// The end that is read.
  package let reading: OwnedDescriptor
  /// The end that is written to.
  package let writing: OwnedDescriptor

  package init() throws(SystemError) {
    var ends: [CInt] = [-1, -1]
    try SystemError.checkErrno(unsafe pipe(&ends), "make a pipe")
    reading = OwnedDescriptor(ends[0])
    writing = OwnedDescriptor(ends[1])
    _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
    _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
  }

  /// Raises the capacity to at least `count` bytes.
  package func reserve(_ count: Int) throws(SystemError) {
    // 1031 is F_SETPIPE_SZ, which Swift's Glibc module lacks.
    try SystemError.checkErrno(fcntl(writing.rawValue, 1031, CInt(clamping: count)), "enlarge a pipe")
  }
}
