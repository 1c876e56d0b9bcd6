import Glibc

enum Environment {
  static subscript(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// What is tested, and what belongs to it.
enum Repository {
  static let path =
    Environment["JOURNALHOOK_REPOSITORY"] ?? String(#filePath.dropLast("/Tests/SystemTests/Command.swift".count))
  static let binary = Environment["JOURNALHOOK_BINARY"] ?? path + "/.build/release/journalhook"
  static let box = path + "/contrib/box"
}

/// How a command ended and what it printed.
struct Output: CustomStringConvertible {
  let command: [String]
  /// Its exit status; of one that was killed, 128 and the signal.
  let status: Int32
  let text: String
  let errors: String

  var lines: [String] { text.split(separator: "\n").map(String.init) }
  var description: String { "\(command) ended with \(status)\n\(text)\(errors)" }

  /// Throws unless it succeeded.
  func check() throws { if status != 0 { throw CommandFailure(output: self) } }
}

struct CommandFailure: Error, CustomStringConvertible {
  let output: Output
  var description: String { output.description }
}

enum Command {
  /// Runs a command and waits for its end, not for that of what it leaves behind.
  static func run(_ command: [String], input: String = "") throws -> Output {
    let (stdin, stdout, stderr) = (file(), file(), file())
    defer { for file in [stdin, stdout, stderr] { close(file) } }
    var rest = Array(input.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(stdin, $0.baseAddress, $0.count) }
      if count > 0 { rest = rest.dropFirst(count) }
    }
    lseek(stdin, 0, SEEK_SET)

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (number, file) in [stdin, stdout, stderr].enumerated() {
      posix_spawn_file_actions_adddup2(&actions, file, CInt(number))
    }
    // The threads of tests block most signals; what is tested must not inherit that.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var pid: pid_t = 0
    let error = posix_spawnp(&pid, command[0], &actions, &attributes, &arguments, environ)
    guard error == 0 else {
      throw CommandFailure(
        output: Output(command: command, status: 127, text: "", errors: String(cString: strerror(error))))
    }
    var status: CInt = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    return Output(command: command, status: code, text: read(stdout), errors: read(stderr))
  }

  /// An unnamed file: unlike a pipe it needs no reader, and does not wait for all who have it.
  private static func file() -> CInt {
    var template = Array("/tmp/journalhook-test-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
    unlink(template)
    return file
  }

  private static func read(_ file: CInt) -> String {
    lseek(file, 0, SEEK_SET)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = Glibc.read(file, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension String {
  var trimmed: String {
    var text = self[...]
    while text.last?.isWhitespace == true { text.removeLast() }
    while text.first?.isWhitespace == true { text.removeFirst() }
    return String(text)
  }
}
