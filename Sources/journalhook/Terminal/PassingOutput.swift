internal import Glibc
internal import Synchronization

/// Shows text to whoever looks, and never fails or waits for long: a daemon's work does not depend on its terminal.
///
/// A terminal that is stopped (Ctrl-S) or a pipe that nobody reads misses lines; how many is told when it goes on.
final class PassingOutput: Sendable {
  private struct State {
    /// The end of a text of which a part was written.
    var rest: ArraySlice<UInt8> = []
    var missed = 0
  }

  private let descriptor: CInt
  private let state = Mutex(State())
  /// How long a text may wait, in milliseconds; those behind it do not.
  private static let patience: CInt = 50

  init(_ descriptor: CInt) {
    // A file description of our own, since the other programs of the terminal share that one and want it to block.
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

  /// Writes the rest; false when it cannot be written now.
  private func push(_ state: inout State) -> Bool {
    var isPatient = state.missed == 0
    while !state.rest.isEmpty {
      var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      if unsafe poll(&wanted, 1, isPatient ? PassingOutput.patience : 0) == 0 { return false }
      // No more than a pipe surely has room for, where the description is not our own.
      let piece = state.rest.prefix(Int(PIPE_BUF))
      let count = unsafe piece.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        state.rest = state.rest.dropFirst(count)
      } else if errno == EAGAIN, isPatient {
        isPatient = false
      } else if errno == EAGAIN {
        return false
      } else if errno != EINTR {
        // Nobody is there any more, or there is no room: nothing is shown.
        state.rest = []
      }
    }
    return true
  }
}
