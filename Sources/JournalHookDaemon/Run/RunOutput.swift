internal import Glibc
internal import Hooks
internal import Runs
internal import Systemd

/// What a run's processes print, line by line.
///
/// Standard output and standard error share one pipe, so that their lines keep their order. Memory is bounded by the longest
/// line; what does not fit one is given in pieces, as journald does with the output of services (`LineMax=`). While the
/// journal takes no more, nothing is read, and the run's processes wait at their full pipe. What exceeds the run's budget is
/// read and dropped.
final class RunOutput {
  private static let longestLine = 48 * 1024
  /// How much is read at once: few enough lines that a script that prints without end does not keep others waiting.
  private static let chunk = 512
  /// The same once nothing of it is kept.
  private static let droppedChunk = 64 * 1024
  /// How long one turn of the loop reads, in microseconds.
  private static let turn: UInt64 = 2000
  /// How long the end of a run waits for its output to be read, so that it comes before the message about the end.
  private static let drainTime: UInt64 = 10_000

  private let reading: OwnedDescriptor
  private var writing: OwnedDescriptor?
  private let loop: EventLoop
  private let clocks: any Clocks
  private let reporter: Reporter
  private let run: Run
  private let fields: JournalFields
  private var line: [UInt8] = []
  private var source: EventSource?
  private var isAtEnd = false
  private var budget = OutputBudget()
  /// The path of the program that was executed last, by which its output names it.
  var script: String?
  /// How many bytes are still to be read, once the run is over.
  private var rest: Int?

  /// Makes a pipe.
  init(of run: Run, loop: EventLoop, clocks: any Clocks, reporter: Reporter) throws {
    let pipe = try Pipe()
    reading = try pipe.reading.duplicate()
    writing = try pipe.writing.duplicate()
    self.loop = loop
    self.clocks = clocks
    self.reporter = reporter
    self.run = run
    fields = reporter.outputFields(of: run)
    // Only our end: the script's must block, or it would lose what it prints faster than we read.
    _ = fcntl(reading.rawValue, F_SETFL, O_NONBLOCK)
    // Before there is a process: nothing may fail after that.
    source = try watch()
  }

  /// What the run's processes write to, until `closeWritingEnd`.
  var writingEnd: CInt { writing?.rawValue ?? -1 }

  /// No more processes will be given the writing end: the output is at its end when the last that has it is.
  func closeWritingEnd() { writing = nil }

  /// Reads what is there once the run has ended, and gives out an unfinished line; what takes longer is read in turns.
  func drain() {
    if read(limit: available, until: clocks.monotonic + RunOutput.drainTime) == .done { finishLine() }
    reportDropped()
  }

  /// Reads no more than what is there now, and that in turns if need be.
  func close() {
    closeWritingEnd()
    rest = available
    readOn(until: clocks.monotonic + RunOutput.drainTime)
    guard rest != nil else { return }
    if !reporter.keep(self) { giveUp() }
  }

  /// Reads the rest of an ended run at once, for there will be no more turns.
  func readRest() {
    source = nil
    if let rest { _ = read(limit: rest, until: clocks.monotonic + RunOutput.drainTime) }
    finishLine()
  }

  /// Goes on when the journal has room again.
  func resume() {
    guard source == nil, !isAtEnd else { return }
    source = try? watch()
    // Without a turn of its own it would not be read.
    if source == nil { rest == nil ? drain() : giveUp() }
  }

  private func watch() throws(SystemError) -> EventSource {
    try loop.watch(reading.rawValue, for: .input, priority: .idle) { [unowned self] _ in
      readOn(until: clocks.monotonic + RunOutput.turn)
    }
  }

  /// Reads for a turn; of an ended run, up to its end.
  private func readOn(until time: UInt64) {
    let isDone = read(limit: rest ?? .max, until: time) == .done
    if isDone, rest != nil {
      finishLine()
      end()
    }
  }

  /// What does not fit the journal's queue, of more runs than can be kept.
  private func giveUp() {
    finishLine()
    report(Array("[journalhook: \(rest ?? 0) bytes of output were not read, as the journal takes no more]".utf8))
    end()
  }

  private func end() {
    reportDropped()
    rest = nil
    source = nil
    isAtEnd = true
    reporter.forget(self)
  }

  /// How many bytes wait in the pipe.
  private var available: Int {
    var count: CInt = 0
    return unsafe ioctl(reading.rawValue, UInt(FIONREAD), &count) == 0 ? Int(count) : Pipe.defaultCapacity
  }

  private enum Progress { case done, cutShort }

  /// Reads up to a number of bytes until a time, or until the journal takes no more; whether all that is there was read.
  private func read(limit: Int, until time: UInt64) -> Progress {
    var left = limit
    while left > 0, !isAtEnd {
      // What the journal is not given need not wait for it.
      if !budget.isUsedUp, reporter.isBackedUp(for: self) {
        source = nil
        return .cutShort
      }
      let size = budget.isUsedUp ? RunOutput.droppedChunk : RunOutput.chunk
      var buffer = [UInt8](repeating: 0, count: min(left, size))
      let count = unsafe Glibc.read(reading.rawValue, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count == 0 {
        // The descriptor stays readable: it would be called back for ever.
        source = nil
        isAtEnd = true
      }
      guard count > 0 else { break }
      left -= count
      if rest != nil { rest = left }
      take(buffer[..<count])
      if left > 0, clocks.monotonic >= time { return .cutShort }
    }
    return .done
  }

  private func take(_ bytes: ArraySlice<UInt8>) {
    if budget.isUsedUp {
      return budget.drop(lines: bytes.count { $0 == UInt8(ascii: "\n") }, bytes: bytes.count)
    }
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
    switch budget.take(line.count) {
    case .keep: report(line)
    case .announce: reporter.outputCut(run)
    case .drop: break
    }
    line.removeAll(keepingCapacity: line.capacity <= 1024)
  }

  private func reportDropped() {
    if let dropped = budget.takeDropped() { reporter.outputCut(run, lines: dropped.lines, bytes: dropped.bytes) }
  }

  private func report(_ line: [UInt8]) {
    reporter.output(run, script.map { ScriptName.restored(in: line, $0) } ?? line, fields)
  }
}
