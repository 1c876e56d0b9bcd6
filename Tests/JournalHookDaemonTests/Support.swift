import CSystemd
import Glibc
import JournalHookDaemon
import Systemd
import Testing

/// All tests that create processes: one after the other, as some collect every child that there is.
@Suite(.serialized) struct ProcessTests {}

let isRoot = geteuid() == 0
/// Whether cgroups can be made here for a test.
let hasWritableCgroup = CgroupRoot.current()?.isWritable ?? false

/// A folder that may hold trusted files: /tmp may not.
final class TemporaryFolder {
  let path: String

  init() throws {
    let base = isRoot ? "/run" : getenv("XDG_RUNTIME_DIR").map { String(cString: $0) } ?? "."
    var template = Array("\(base)/journalhook-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", path: base) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { run("chmod -R u+w \(path); rm -rf \(path)") }

  func file(_ name: String, _ text: String = "#!/bin/sh\n", mode: mode_t = 0o755) throws -> String {
    let path = "\(path)/\(name)"
    let file = try OwnedDescriptor.open2(path, O_WRONLY | O_CREAT | O_TRUNC)
    _ = text.withCString { write(file.rawValue, $0, text.utf8.count) }
    fchmod(file.rawValue, mode)
    return path
  }

  func folder(_ name: String, mode: mode_t = 0o755) -> String {
    mkdir("\(path)/\(name)", 0o755)
    chmod("\(path)/\(name)", mode)
    return "\(path)/\(name)"
  }

  func link(_ name: String, to target: String) -> String {
    symlink(target, "\(path)/\(name)")
    return "\(path)/\(name)"
  }
}

extension OwnedDescriptor {
  /// As `open`, for files to be made.
  static func open2(_ path: String, _ flags: Int32) throws -> OwnedDescriptor {
    let number = Glibc.open(path, flags | O_CLOEXEC, 0o600)
    if number < 0 { throw SystemError("open", path: path) }
    return OwnedDescriptor(number)
  }
}

/// A pipe whose ends are closed with it.
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

  /// All that was written, once nobody holds the other end.
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

@discardableResult func run(_ command: String) -> Int32 { system(command) }

/// A run of /bin/sh with the given text, by default without input and output.
func shell(
  _ text: String, _ arguments: [String] = [], change: (inout SpawnRequest) throws -> Void = { _ in }
) throws -> SpawnedProcess {
  try withShellRequest(text, arguments) { request in
    try change(&request)
    return try spawn(request)
  }
}

/// The same in a container.
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

/// The output of such a run.
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

/// Waits for what the kernel does in a moment.
func eventually(seconds: Double = 5, _ condition: () throws -> Bool) rethrows -> Bool {
  for _ in 0..<Int(seconds * 200) {
    if try condition() { return true }
    usleep(5000)
  }
  return try condition()
}

func openDescriptors() -> Int {
  var count = 0
  for number in Int32(0)..<4096 where fcntl(number, F_GETFD) >= 0 { count += 1 }
  return count
}
