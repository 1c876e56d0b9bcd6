internal import Glibc
internal import Systemd

/// Standard output and standard error.
enum Console {
  /// Whether standard output is a terminal that may be coloured (no-color.org).
  static let hasColor = isatty(STDOUT_FILENO) == 1 && !noColor && terminalName != "dumb"

  /// Whether to show the progress of long work on standard error.
  static let showsProgress = isatty(STDERR_FILENO) == 1 && terminalName != "dumb"

  private static var noColor: Bool { unsafe getenv("NO_COLOR") != nil }

  static var terminalName: String {
    unsafe getenv("TERM").map { unsafe String(cString: $0) } ?? "dumb"
  }

  /// The colours, by their SGR numbers.
  enum Color: String {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
  }

  /// The text in a colour, if standard output can show it.
  static func paint(_ text: String, _ color: Color?) -> String {
    guard hasColor, let color else { return text }
    return "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m"
  }

  /// Writes a line to standard output. When its reader has gone away (`| head`) the process exits without a message.
  static func print(_ line: String) { write(Array((line + "\n").utf8)[...], to: STDOUT_FILENO) }

  /// Writes a line to standard output without waiting for its reader: for a process that has other work to do.
  static func show(_ line: String) { standardOutput.write(line + "\n") }

  private static let standardOutput = LossyOutput(STDOUT_FILENO)

  /// Writes a message to standard error.
  static func warn(_ message: String) { standardError.write("journalhook: \(message.printable)\n") }

  /// Writes text to standard error, without a prefix or a line end.
  static func progress(_ text: String) { standardError.write(text) }

  private static let standardError = LossyOutput(STDERR_FILENO)

  /// Writes all bytes. When the reader has gone away the process exits without a message.
  static func write(_ bytes: ArraySlice<UInt8>, to descriptor: CInt) {
    var rest = bytes
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = unsafe Glibc.poll(&poll, 1, -1)
      } else if errno != EINTR {
        exit(errno == EPIPE ? 0 : 1)
      }
    }
  }
}
