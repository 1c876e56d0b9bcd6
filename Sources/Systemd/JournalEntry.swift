internal import Glibc

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
  public var fields: [Field] {
    places.map { place in
      Field(name: String(decoding: data[place.name], as: UTF8.self), bytes: Array(data[place.value]))
    }
  }
  /// All fields as `NAME=value`, one behind the other: an allocation each would be most of the cost of reading.
  private let data: [UInt8]
  private let places: [Place]

  /// Where a field is.
  struct Place: Sendable {
    /// Tells most names apart without a look at them.
    let hash: UInt64
    let name: Range<Int>
    let value: Range<Int>
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
    var data: [UInt8] = []
    var places: [Place] = []
    for field in fields {
      let start = data.count
      data += field.name.utf8
      let equals = data.count
      data.append(UInt8(ascii: "="))
      data += field.bytes
      places.append(
        Place(
          hash: unsafe Array(field.name.utf8).withUnsafeBytes { unsafe FieldSet.hash($0) }, name: start..<equals,
          value: equals + 1..<data.count))
    }
    self.init(data: data, places: places, cursor: cursor, realtime: realtime, monotonic: monotonic, boot: boot)
  }

  init(data: [UInt8], places: [Place], cursor: String, realtime: UInt64, monotonic: UInt64, boot: String) {
    self.data = data
    self.places = places
    self.cursor = cursor
    self.realtime = realtime
    self.monotonic = monotonic
    self.boot = boot
  }

  /// The value of the first field of that name.
  public subscript(name: String) -> String? {
    var name = name
    return name.withUTF8 { unsafe value(of: UnsafeRawBufferPointer($0)) }
  }

  private func value(of name: UnsafeRawBufferPointer) -> String? {
    let hash = unsafe FieldSet.hash(name)
    for place in places where place.hash == hash {
      if unsafe isName(name, at: place) { return String(decoding: data[place.value], as: UTF8.self) }
    }
    return nil
  }

  /// How often a field occurs.
  public func count(of name: String) -> Int {
    var name = name
    return name.withUTF8 { bytes in
      let name = UnsafeRawBufferPointer(bytes)
      let hash = unsafe FieldSet.hash(name)
      return places.count { unsafe $0.hash == hash && isName(name, at: $0) }
    }
  }

  private func isName(_ name: UnsafeRawBufferPointer, at place: Place) -> Bool {
    guard place.name.count == name.count, let bytes = name.baseAddress else { return false }
    return unsafe data.withUnsafeBytes { data in
      guard let start = data.baseAddress else { return false }
      return unsafe memcmp(start + place.name.lowerBound, bytes, name.count) == 0
    }
  }
}

/// Names of fields that are wanted of entries, so that the others need not be copied.
public struct FieldSet: Sendable {
  private let hashes: [UInt64]
  /// One bit for each hash: most fields of an entry need no further look.
  private let marks: UInt64

  /// Makes a set of names.
  public init(_ names: some Sequence<String>) {
    hashes = names.map { name in
      var name = name
      return name.withUTF8 { unsafe FieldSet.hash(UnsafeRawBufferPointer($0)) }
    }
    marks = hashes.reduce(0) { $0 | 1 &<< ($1 & 63) }
  }

  private init(hashes: [UInt64]) {
    self.hashes = hashes
    marks = hashes.reduce(0) { $0 | 1 &<< ($1 & 63) }
  }

  /// The names of both sets.
  public func union(_ other: FieldSet) -> FieldSet {
    FieldSet(hashes: hashes + other.hashes.filter { !hashes.contains($0) })
  }

  /// Whether a name of this hash is wanted. Another name of the same hash would be copied for nothing, no more.
  func contains(_ hash: UInt64) -> Bool { marks & 1 &<< (hash & 63) != 0 && hashes.contains(hash) }

  /// FNV-1a.
  static func hash(_ name: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for index in 0..<name.count { hash = unsafe (hash ^ UInt64(name[index])) &* 0x100_0000_01b3 }
    return hash
  }
}
