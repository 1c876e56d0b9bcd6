/// The place of one entry in the journal.
///
/// libsystemd gives it as text: `s` is the sequence number id and `i` the sequence number, `b` the boot, `m` the monotonic
/// and `t` the wall-clock time, `x` a hash of the entry (sd_journal_get_cursor(3); format in systemd's sd-journal.c).
public struct JournalCursor: Sendable, Hashable, CustomStringConvertible {
  /// The text that libsystemd returned.
  public let description: String
  /// The boot of the entry: 32 hexadecimal digits.
  public let boot: String
  /// Microseconds since that boot.
  public let monotonic: UInt64
  /// Wall-clock time in microseconds since 1970.
  public let realtime: UInt64
  private let hash: UInt64
  /// The sequence number and the sequence number id; nil where the text has none.
  private let number: UInt64?
  private let sequence: String?

  /// Reads the text of a cursor; nil if the text is not a cursor.
  public init?(_ text: String) {
    var boot: String?
    var monotonic: UInt64?
    var realtime: UInt64?
    var hash: UInt64?
    var number: UInt64?
    var sequence: String?
    // Bytes, because characters would take thirty times as long.
    for part in text.utf8.split(separator: UInt8(ascii: ";")) {
      let value = String(Substring(part.dropFirst(2)))
      switch String(Substring(part.prefix(2))) {
      case "b=": boot = value.utf8.count == 32 ? value : nil
      case "m=": monotonic = UInt64(value, radix: 16)
      case "t=": realtime = UInt64(value, radix: 16)
      case "s=": sequence = value
      case "i=": number = UInt64(value, radix: 16)
      case "x=": hash = UInt64(value, radix: 16)
      default: break
      }
    }
    guard let boot, let monotonic, let realtime, let hash else { return nil }
    self.description = text
    self.boot = boot
    self.monotonic = monotonic
    self.realtime = realtime
    self.hash = hash
    self.number = number
    self.sequence = sequence
  }

  /// Whether this entry was written directly after another, so that no entry between them can be missing.
  public func isSuccessor(of other: JournalCursor) -> Bool {
    guard let sequence, sequence == other.sequence, let number, let before = other.number else { return false }
    return number == before &+ 1
  }

  /// Whether both cursors name the same entry, even if the entry was moved to another file in between.
  ///
  /// Flushing the journal from /run to /var gives entries new sequence numbers, and `sd_journal_test_cursor` then takes the
  /// entry for a different one. The boot, the times and the hash stay the same.
  public func namesSameEntry(as other: JournalCursor) -> Bool {
    boot == other.boot && monotonic == other.monotonic && realtime == other.realtime && hash == other.hash
  }
}
