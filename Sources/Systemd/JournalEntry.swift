/// One entry of the journal, copied out of it.
public struct JournalEntry: Sendable {
  /// A field and its value; values may be any bytes.
  public struct Field: Sendable, Equatable {
    /// The name, `MESSAGE` say.
    public let name: String
    /// The bytes behind the first `=`.
    public let bytes: [UInt8]

    /// Makes a field of a name and bytes.
    public init(name: String, bytes: [UInt8]) {
      self.name = name
      self.bytes = bytes
    }

    /// The value as text; bytes that are no UTF-8 are replaced.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  /// The fields in the journal's order. A field may occur more than once.
  public var fields: [Field] { places.map { Field(name: $0.name, bytes: Array(values[$0.range])) } }
  /// All values one behind the other: an allocation each would be most of the cost of reading.
  private let values: [UInt8]
  private let places: [Place]

  /// Where a field's value is.
  struct Place: Sendable {
    let name: String
    let range: Range<Int>
  }

  /// Where the entry is.
  public let cursor: String
  /// Wall-clock time of reception in microseconds since 1970.
  public let realtime: UInt64
  /// Time of reception in microseconds since its boot.
  public let monotonic: UInt64
  /// The boot id: 32 hexadecimal digits.
  public let boot: String

  /// Makes an entry of its parts.
  public init(fields: [Field], cursor: String, realtime: UInt64, monotonic: UInt64, boot: String) {
    var values: [UInt8] = []
    var places: [Place] = []
    for field in fields {
      places.append(Place(name: field.name, range: values.count..<values.count + field.bytes.count))
      values += field.bytes
    }
    self.init(
      values: values, places: places, cursor: cursor, realtime: realtime, monotonic: monotonic, boot: boot)
  }

  init(values: [UInt8], places: [Place], cursor: String, realtime: UInt64, monotonic: UInt64, boot: String) {
    self.values = values
    self.places = places
    self.cursor = cursor
    self.realtime = realtime
    self.monotonic = monotonic
    self.boot = boot
  }

  /// The value of the first field of that name.
  public subscript(name: String) -> String? {
    places.first { $0.name == name }.map { String(decoding: values[$0.range], as: UTF8.self) }
  }

  /// How often a field occurs.
  public func count(of name: String) -> Int {
    places.count { $0.name == name }
  }
}

/// Names of fields that are wanted of entries, so that the others need not be copied.
public struct FieldSet: Sendable {
  /// The names by their length; an entry has some thirty fields, of which few are wanted.
  private var names: [[(bytes: [UInt8], name: String)]] = []

  /// Makes a set of names.
  public init(_ names: some Sequence<String>) {
    for name in names {
      let bytes = Array(name.utf8)
      while self.names.count <= bytes.count { self.names.append([]) }
      self.names[bytes.count].append((bytes, name))
    }
  }

  /// The wanted name that these bytes are.
  func name(matching bytes: UnsafeRawBufferPointer) -> String? {
    guard bytes.count < names.count else { return nil }
    return names[bytes.count].first { unsafe $0.bytes.elementsEqual(bytes) }?.name
  }
}
