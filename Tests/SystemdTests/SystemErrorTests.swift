import Glibc
import Systemd
import Testing

@testable import Systemd

@Suite struct SystemErrorTests {
  @Test func whatIsTemporary() {
    let all: [Int32] = [
      EIO, ENOLCK, ESTALE, EINTR, ENOMEM, EMFILE, ENFILE, EAGAIN, ENOENT, EACCES, EPERM, ENOTDIR, ELOOP, EINVAL, 0,
    ]
    #expect(
      all.filter(SystemError.isTemporary) == [EIO, ENOLCK, ESTALE, EINTR, ENOMEM, EMFILE, ENFILE, EAGAIN])
  }
}
