internal import CSpawn
internal import Glibc
internal import Systemd
package import TrustedFiles

/// A short command of our own whose end is waited for, with bounds for its time and its output.
package enum BoundedCommand {
  /// The user `nobody`, without further groups, who may do least.
  package static let nobody = SpawnRequest.Identity(user: 65534, group: 65534, supplementaryGroups: [])

  /// How a command ended.
  package struct Result {
    /// The exit status; nil if a signal ended it.
    package var status: Int32?
    /// What it has printed, of both kinds.
    package var output: String
  }

  /// In milliseconds.
  private static let patience: UInt64 = 5000
  /// In bytes.
  private static let outputLimit = 4096

  /// Runs a program in a minimal environment, and kills it when its time is over or its output is too long.
  ///
  /// - Parameters:
  ///   - identity: who it runs as, where journalhook runs as root.
  ///   - input: its standard input, open.
  ///   - searchPath: its PATH.
  /// - Returns: nil if it could not be started.
  package static func run(
    _ program: borrowing TrustedFile, _ arguments: [String], as identity: SpawnRequest.Identity, input: CInt,
    searchPath: String
  ) -> Result? {
    guard let started = start(program, arguments, as: identity, input: input, searchPath) else { return nil }
    let (pid, reading) = (started.process.pid, started.reading.rawValue)
    var output: [UInt8] = []
    let end = Clock.monotonic() / 1000 + patience
    var buffer = [UInt8](repeating: 0, count: outputLimit)
    while output.count < outputLimit, case let now = Clock.monotonic() / 1000, now < end {
      var waited = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&waited, 1, CInt(end - now)) > 0 else { continue }
      let count = unsafe read(reading, &buffer, outputLimit)
      if count == 0 { break }
      if count > 0 { output += buffer[..<count] }
    }
    // It may have closed its output and go on.
    var ended = pollfd(fd: started.process.pidfd.rawValue, events: Int16(POLLIN), revents: 0)
    let left = CInt(end - min(end, Clock.monotonic() / 1000))
    if unsafe poll(&ended, 1, output.count < outputLimit ? left : 0) <= 0 {
      // The session that it began with, and so whatever it has started.
      _ = kill(-pid, SIGKILL)
    }
    var status: CInt = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return Result(
      status: status & 0x7F == 0 ? (status >> 8) & 0xFF : nil, output: String(decoding: output, as: UTF8.self))
  }

  private struct Started: ~Copyable {
    let process: SpawnedProcess
    /// Where its output is read, which ends with the last process that has it.
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
