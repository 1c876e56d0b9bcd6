internal import Glibc
internal import Synchronization

/// Writes text to a terminal or a pipe, and never fails or waits for long: the work of a daemon does not depend on its terminal.
///
/// A terminal that is stopped (Ctrl-S), or a pipe that nobody reads, misses lines. Their number is printed when it takes text
/// again.
final class LossyOutput: Sendable {
  private struct State {
    /// The part of the last text that is still to be written.
    var rest: ArraySlice<UInt8> = []
    var missed = 0
  }

  private let descriptor: CInt
  private let state = Mutex(State())
  /// How long one text may wait, in milliseconds. The texts after it do not wait.
  private static let patience: CInt = 50

  init(_ descriptor: CInt) {
    // An open file description of our own: other programs on the terminal share the inherited one, and expect it to block.
    var status = stat()
    let kind = unsafe fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0
    var own: CInt = -1
    if kind == S_IFCHR || kind == S_IFIFO {
      own = unsafe open("/proc/self/fd/\(descriptor)", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    }
    self.descriptor = own >= 0 ? own : descriptor
  }

  func write(_ text: String) {
    state.withLock { state in
      guard push(&state) else {
        state.missed += 1
        return
      }
      if state.missed > 0 {
        state.rest += Array("[\(state.missed) lines are not shown]\n".utf8)
        state.missed = 0
      }
      state.rest += Array(text.utf8)
      _ = push(&state)
    }
  }

  /// Writes the rest; returns false if it cannot be written now.
  private func push(_ state: inout State) -> Bool {
    var isPatient = state.missed == 0
    while !state.rest.isEmpty {
      var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      if unsafe poll(&wanted, 1, isPatient ? LossyOutput.patience : 0) == 0 { return false }
      // At most PIPE_BUF: poll(2) promises room for that in a pipe, and the description may be a blocking one.
      let piece = state.rest.prefix(Int(PIPE_BUF))
      let count = unsafe piece.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        state.rest = state.rest.dropFirst(count)
      } else if errno == EAGAIN, isPatient {
        isPatient = false
      } else if errno == EAGAIN {
        return false
      } else if errno != EINTR {
        // The reader has gone away, or the disk is full: the text is dropped.
        state.rest = []
      }
    }
    return true
  }
}
