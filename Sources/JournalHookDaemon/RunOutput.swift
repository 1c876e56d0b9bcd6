internal import Glibc
internal import Systemd

/// What a run's processes print, line by line.
///
/// Standard output and standard error share one pipe, so that their lines keep their order. Memory is bounded by the longest
/// line; what does not fit one is given in pieces, as journald does with the output of services (`LineMax=`).
final class RunOutput {
  private static let longestLine = 48 * 1024
  /// How much is read in one turn, so that a script that prints without end does not keep others waiting.
  private static let turn = 64 * 1024

  private let reading: OwnedDescriptor
  private let report: ([UInt8]) -> Void
  private var line: [UInt8] = []
  private var source: EventSource?

  /// Makes a pipe, and gives its writing end to `body` only.
  init(loop: EventLoop, report: @escaping ([UInt8]) -> Void, body: (CInt) throws -> Void) throws {
    let pipe = try Pipe()
    reading = try pipe.reading.duplicate()
    self.report = report
    // Only our end: the script's must block, or it would lose what it prints faster than we read.
    _ = fcntl(reading.rawValue, F_SETFL, O_NONBLOCK)
    try body(pipe.writing.rawValue)
    source = try loop.watch(reading.rawValue, for: .input, priority: .idle) { [unowned self] _ in
      _ = read(limit: RunOutput.turn)
    }
  }

  /// Reads what is there once the run has ended, up to a megabyte, and gives out an unfinished line.
  func drain() {
    _ = read(limit: 1 << 20)
    finishLine()
  }

  /// Reads no more.
  func close() {
    drain()
    source = nil
  }

  private func read(limit: Int) -> Int {
    var total = 0
    var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    while total < limit {
      let count = unsafe Glibc.read(reading.rawValue, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        // At the end of the file the descriptor stays readable: it would be called back for ever.
        if count == 0 { source = nil }
        break
      }
      total += count
      take(buffer[..<count])
    }
    return total
  }

  private func take(_ bytes: ArraySlice<UInt8>) {
    for byte in bytes {
      if byte == UInt8(ascii: "\n") {
        finishLine()
      } else {
        line.append(byte)
        if line.count >= RunOutput.longestLine { finishLine() }
      }
    }
  }

  private func finishLine() {
    guard !line.isEmpty else { return }
    report(line)
    line.removeAll(keepingCapacity: false)
  }
}

/// The two ends of a pipe, both close-on-exec.
struct Pipe: ~Copyable {
  /// What the kernel lets a pipe hold at first (pipe(7)).
  static let defaultCapacity = 65536

  let reading: OwnedDescriptor
  let writing: OwnedDescriptor

  init() throws(SystemError) {
    var ends: [CInt] = [-1, -1]
    try SystemError.checkErrno(unsafe pipe(&ends), "make a pipe")
    reading = OwnedDescriptor(ends[0])
    writing = OwnedDescriptor(ends[1])
    _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
    _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
  }

  /// Makes room for so many bytes.
  func reserve(_ count: Int) throws(SystemError) {
    // F_SETPIPE_SZ, which Swift's Glibc module leaves out.
    try SystemError.checkErrno(fcntl(writing.rawValue, 1031, CInt(clamping: count)), "enlarge a pipe")
  }
}
