import CSystemd
import Glibc
import Systemd
import TestSupport
import Testing

@testable import Processes
@testable import TrustedFiles

/// All tests that create processes. They are serialized because some of them reap all children.
@Suite(.serialized) struct ProcessTests {}

/// Whether tests can make cgroups here.
let hasWritableCgroup = CgroupRoot.current()?.isWritable ?? false

/// A pipe. Its ends are closed when its life ends.
final class Pipe {
  let reader: Int32
  private(set) var writer: Int32

  init() throws {
    var ends: [Int32] = [0, 0]
    try SystemError.checkErrno(pipe(&ends), "pipe")
    (reader, writer) = (ends[0], ends[1])
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  }

  deinit {
    close(reader)
    closeWriter()
  }

  func closeWriter() {
    if writer >= 0 { close(writer) }
    writer = -1
  }

  /// Everything that was written, up to the time when all processes have closed the writing end.
  func readToEnd() -> String {
    closeWriter()
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(reader, &buffer, buffer.count)
      if count <= 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
    }
  }
}

/// Runs a text in /bin/sh, by default without input and output.
func shell(
  _ text: String, _ arguments: [String] = [], change: (inout SpawnRequest) throws -> Void = { _ in }
) throws -> SpawnedProcess {
  try withShellRequest(text, arguments) { request in
    try change(&request)
    return try spawn(request)
  }
}

/// Runs a text in /bin/sh in a container.
func shell(
  _ text: String, _ arguments: [String] = [], in container: inout RunContainer, change: (inout SpawnRequest) -> Void
) throws -> SpawnedProcess {
  try withShellRequest(text, arguments) { request in
    change(&request)
    return try container.spawn(request)
  }
}

private func withShellRequest(
  _ text: String, _ arguments: [String], _ body: (inout SpawnRequest) throws -> SpawnedProcess
) throws -> SpawnedProcess {
  let shell = try OwnedDescriptor.open("/bin/sh", O_RDONLY)
  let null = try OwnedDescriptor.open("/dev/null", O_RDWR)
  var request = SpawnRequest(
    executable: shell.rawValue, arguments: ["sh", "-c", text, "sh"] + arguments, standardInput: null.rawValue,
    standardOutput: null.rawValue, standardError: null.rawValue)
  request.environment = [("PATH", "/usr/bin:/bin")]
  return try body(&request)
}

/// Runs a text in /bin/sh, and returns its output.
func output(of text: String, change: (inout SpawnRequest) throws -> Void = { _ in }) throws -> String {
  let pipe = try Pipe()
  let process = try shell(text) { request in
    request.standardOutput = pipe.writer
    request.standardError = pipe.writer
    try change(&request)
  }
  let text = pipe.readToEnd()
  _ = process.wait()
  return text
}

enum ProcessEnd: Equatable {
  case exit(Int32)
  case signal(Int32)
}

extension SpawnedProcess {
  borrowing func wait() -> ProcessEnd {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    return status & 0x7f == 0 ? .exit((status >> 8) & 0xff) : .signal(status & 0x7f)
  }
}
