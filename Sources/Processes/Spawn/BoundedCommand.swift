internal import CSpawn
internal import Glibc
internal import Systemd
package import TrustedFiles

/// Runs a short command and waits for its end, with limits for its time and its output.
package enum BoundedCommand {
  /// The user `nobody`, the one with the fewest rights, without supplementary groups.
  package static let nobody = SpawnRequest.Identity(user: 65534, group: 65534, supplementaryGroups: [])

  /// How a command ended.
  package struct Result {
    /// The exit status; nil if a signal ended it.
    package var status: Int32?
    /// What it has written to standard output and standard error.
    package var output: String
  }

  /// How long a command may run, in milliseconds.
  private static let timeLimit: UInt64 = 5000
  /// How much a command may print, in bytes.
  private static let outputLimit = 4096

  /// Runs a program in a minimal environment, and kills it when it exceeds the limit of time or output.
  ///
  /// - Parameters:
  ///   - identity: the user and groups of the process. They are used only if journalhook runs as root.
  ///   - input: a descriptor for its standard input.
  ///   - searchPath: its PATH.
  /// - Returns: nil if the program could not be started.
  package static func run(
    _ program: borrowing TrustedFile, _ arguments: [String], as identity: SpawnRequest.Identity, input: CInt,
    searchPath: String
  ) -> Result? {
    guard let started = start(program, arguments, as: identity, input: input, searchPath) else { return nil }
    let (pid, reading) = (started.process.pid, started.reading.rawValue)
    var output: [UInt8] = []
    let end = Clock.monotonic() / 1000 + timeLimit
    var buffer = [UInt8](repeating: 0, count: outputLimit)
    while output.count < outputLimit, case let now = Clock.monotonic() / 1000, now < end {
      var waited = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&waited, 1, CInt(end - now)) > 0 else { continue }
      let count = unsafe read(reading, &buffer, outputLimit)
      if count == 0 { break }
      if count > 0 { output += buffer[..<count] }
    }
    // The command may have closed its output and still run.
    var ended = pollfd(fd: started.process.pidfd.rawValue, events: Int16(POLLIN), revents: 0)
    let left = CInt(end - min(end, Clock.monotonic() / 1000))
    if unsafe poll(&ended, 1, output.count < outputLimit ? left : 0) <= 0 {
      // The process is the leader of its process group: this kills its descendants, too, unless they have left the group.
      _ = kill(-pid, SIGKILL)
    }
    var status: CInt = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return Result(
      status: status & 0x7F == 0 ? (status >> 8) & 0xFF : nil, output: String(decoding: output, as: UTF8.self))
  }

  private struct Started: ~Copyable {
    let process: SpawnedProcess
    /// The reading end of its output, which ends when the last process has closed the other end.
    let reading: OwnedDescriptor
  }

  private static func start(
    _ program: borrowing TrustedFile, _ arguments: [String], as identity: SpawnRequest.Identity, input: CInt,
    _ searchPath: String
  ) -> Started? {
    do {
      let root = try OwnedDescriptor.open("/", O_RDONLY | O_DIRECTORY)
      let pipe = try Pipe()
      var request = SpawnRequest(
        executable: program.descriptor.rawValue, arguments: arguments, standardInput: input,
        standardOutput: pipe.writing.rawValue, standardError: pipe.writing.rawValue)
      request.environment = [("PATH", searchPath), ("LC_ALL", "C")]
      request.workingDirectory = root.rawValue
      request.noNewPrivileges = true
      if geteuid() == 0 { request.identity = identity }
      let reading = try pipe.reading.duplicate()
      return Started(process: try spawn(request), reading: reading)
    } catch {
      return nil
    }
  }
}
