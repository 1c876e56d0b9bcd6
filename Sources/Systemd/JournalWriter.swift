internal import CSystemd
internal import Glibc

/// Writes structured entries to the journal through journald's native socket.
public enum JournalWriter {
  /// syslog(3)'s priorities.
  public enum Priority: Int, Sendable {
    case emergency, alert, critical, error, warning, notice, info, debug
  }

  /// Sends one entry. A value may hold any bytes; a field may be given more than once.
  ///
  /// The corresponding C function is `sd_journal_sendv`. Without journald the entry is dropped silently, as there.
  public static func send(_ fields: [(name: String, value: String)]) {
    var lines = fields.map { Array("\($0.name)=\($0.value)".utf8) }
    send(&lines)
  }

  /// Sends a message with a priority and further fields.
  public static func send(_ message: String, priority: Priority, fields: [(name: String, value: String)] = []) {
    send([(name: "MESSAGE", value: message), (name: "PRIORITY", value: String(priority.rawValue))] + fields)
  }

  /// Sends one entry of ready `NAME=value` fields, values any bytes.
  public static func send(_ lines: inout [[UInt8]]) {
    var vectors: [iovec] = unsafe []
    // One buffer for all fields keeps every pointer valid at once.
    var buffer: [UInt8] = []
    for line in lines { buffer += line }
    unsafe buffer.withUnsafeMutableBytes { bytes in
      guard var position = bytes.baseAddress else { return }
      for line in lines {
        unsafe vectors.append(iovec(iov_base: position, iov_len: line.count))
        unsafe position += line.count
      }
      _ = unsafe sd_journal_sendv(vectors, CInt(vectors.count))
    }
  }
}
