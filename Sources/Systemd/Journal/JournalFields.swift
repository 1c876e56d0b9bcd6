/// The fields of one journal entry, encoded as journald takes them (systemd.io/JOURNAL_NATIVE_PROTOCOL).
///
/// A field may be given more than once.
public struct JournalFields: Sendable {
  /// The longest value that is sent whole, in bytes. A longer one is cut, so that the entry fits into one datagram.
  public static let longestValue = 128 * 1024

  /// The datagram.
  public private(set) var bytes: [UInt8] = []

  /// Makes an entry without fields.
  public init() {}

  /// Encodes fields of text.
  public init(_ fields: [(name: String, value: String)]) {
    for field in fields { append(field.name, field.value) }
  }

  /// Adds a field of text.
  public mutating func append(_ name: String, _ value: String) { append(name, Array(value.utf8)[...]) }

  /// Adds a field, whose value may hold any bytes.
  public mutating func append(_ name: String, _ value: ArraySlice<UInt8>) {
    guard value.count <= JournalFields.longestValue else {
      let cut = value.prefix(JournalFields.longestValue) + Array(" [cut, \(value.count) bytes]".utf8)
      return appendWhole(name, cut)
    }
    appendWhole(name, value)
  }

  /// Adds fields that are encoded already.
  public mutating func append(_ other: JournalFields) { bytes += other.bytes }

  private mutating func appendWhole(_ name: String, _ value: ArraySlice<UInt8>) {
    bytes += name.utf8
    if value.contains(UInt8(ascii: "\n")) {
      // A value with a newline is preceded by its length: 64 bits, little endian.
      bytes.append(UInt8(ascii: "\n"))
      let length = UInt64(value.count)
      for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
    } else {
      bytes.append(UInt8(ascii: "="))
    }
    bytes += value
    bytes.append(UInt8(ascii: "\n"))
  }
}
