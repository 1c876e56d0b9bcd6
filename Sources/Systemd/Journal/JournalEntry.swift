internal import CSystemd
internal import Glibc

/// One entry of the journal, copied out of it.
public struct JournalEntry: Sendable {
  /// A field and its value; values may be any bytes.
  public struct Field: Sendable, Equatable {
    /// The name, such as `MESSAGE`.
    public let name: String
    /// The bytes after the first `=`.
    public let bytes: [UInt8]

    /// Makes a field of a name and bytes.
    public init(name: String, bytes: [UInt8]) {
      self.name = name
      self.bytes = bytes
    }

    /// The value as text; bytes that are not valid UTF-8 are replaced.
    public var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  /// The fields in the journal's order. A field may occur more than once.
  public var fields: [Field] {
    places.map { place in
      Field(name: String(decoding: data[place.name], as: UTF8.self), bytes: Array(data[place.value]))
    }
  }
  /// All fields as `NAME=value`, in one array: one allocation per field would be most of the cost of reading.
  private var data: [UInt8] = []
  /// The number of bytes of `data` that belong to this entry; the rest is left from an earlier, longer one.
  private var length = 0
  private var places: [Place] = []
  /// The marks of all fields (see `FieldSet.mark`): if the mark of a name is missing, the entry has no such field, and no
  /// search is needed.
  private var marks: UInt64 = 0

  /// Where a field is in `data`.
  struct Place: Sendable {
    /// The hash of the name, which differs for nearly all different names.
    let hash: UInt64
    let start: Int
    let equals: Int
    let end: Int

    var name: Range<Int> { start..<equals }
    var value: Range<Int> { equals + 1..<end }
  }

  /// Whether some field may occur more than once. True also where two different names have the same hash.
  public private(set) var hasRepetitions = false

  /// The cursor of the entry.
  public internal(set) var cursor = ""
  /// Wall-clock time of reception in microseconds since 1970.
  public internal(set) var realtime: UInt64 = 0
  /// Time of reception in microseconds since its boot.
  public internal(set) var monotonic: UInt64 = 0
  /// The boot id: 32 hexadecimal digits.
  public private(set) var boot = ""
  /// The boot id as a number. The text is made again only when the number changes.
  private var bootID: (UInt64, UInt64)?

  /// Makes an entry without fields, to read an entry into.
  public init() {}

  /// Makes an entry from its parts.
  public init(fields: [Field], cursor: String, realtime: UInt64, monotonic: UInt64, boot: String) {
    for field in fields {
      let whole = Array(field.name.utf8) + [UInt8(ascii: "=")] + field.bytes
      unsafe whole.withUnsafeBytes { whole in
        let name = unsafe UnsafeRawBufferPointer(rebasing: whole[..<field.name.utf8.count])
        unsafe append(whole, name: name.count, hash: FieldSet.hash(name))
      }
    }
    self.cursor = cursor
    self.realtime = realtime
    self.monotonic = monotonic
    self.boot = boot
  }

  /// Removes all fields, and keeps their memory for those of the next entry.
  mutating func removeFields() {
    length = 0
    places.removeAll(keepingCapacity: true)
    marks = 0
    hasRepetitions = false
  }

  mutating func setBoot(_ id: sd_id128_t) {
    let halves = unsafe (id.qwords.0, id.qwords.1)
    if let bootID, bootID == halves { return }
    bootID = halves
    boot = id.hexadecimal
  }

  /// Adds a field.
  ///
  /// - Parameters:
  ///   - field: `NAME=value`.
  ///   - name: the length of the name in bytes.
  ///   - hash: the hash of the name.
  mutating func append(_ field: UnsafeRawBufferPointer, name: Int, hash: UInt64) {
    let start = length
    length += field.count
    if length > data.count { data += repeatElement(0, count: 2 * length - data.count) }
    unsafe data.withUnsafeMutableBytes { data in
      unsafe UnsafeMutableRawBufferPointer(rebasing: data[start..<length]).copyMemory(from: field)
    }
    let mark = FieldSet.mark(hash)
    if marks & mark != 0, places.contains(where: { $0.hash == hash }) { hasRepetitions = true }
    marks |= mark
    places.append(Place(hash: hash, start: start, equals: start + name, end: length))
  }

  /// The value of the first field of that name.
  public subscript(name: StaticString) -> String? {
    guard let place = place(of: name) else { return nil }
    return text(at: place)
  }

  /// Whether there is a field of that name.
  public func has(_ name: StaticString) -> Bool { place(of: name) != nil }

  /// Whether the first field of that name has this value. Unlike the subscript, this copies nothing.
  public func has(_ name: StaticString, _ value: String) -> Bool {
    guard let place = place(of: name) else { return false }
    return unsafe value.utf8Span.span.withUnsafeBytes { unsafe isEqual($0, to: place.value) }
  }

  /// The value of the first field of that name as a 128-bit id: 32 hexadecimal digits in lower case, as systemd writes them;
  /// nil if there is no such field or its value is not an id.
  public func id(_ name: StaticString) -> UInt128? {
    guard let place = place(of: name), place.value.count == 32 else { return nil }
    let digits = data.span.extracting(place.value)
    var id: (high: UInt64, low: UInt64) = (0, 0)
    var isID = true
    for index in 0..<16 {
      let (high, low) = (JournalEntry.digit(digits[index]), JournalEntry.digit(digits[index + 16]))
      id = (id.high &<< 4 | UInt64(high), id.low &<< 4 | UInt64(low))
      isID = isID && high < 16 && low < 16
    }
    return isID ? UInt128(id.high) &<< 64 | UInt128(id.low) : nil
  }

  /// The value of a hexadecimal digit; more than 15 if the byte is not one.
  private static func digit(_ byte: UInt8) -> UInt8 {
    let number = byte &- UInt8(ascii: "0")
    let letter = byte &- UInt8(ascii: "a")
    return number < 10 ? number : letter < 6 ? letter &+ 10 : 255
  }

  /// The number of fields of that name.
  public func count(of name: StaticString) -> Int {
    name.withUTF8Buffer { name in
      let name = UnsafeRawBufferPointer(name)
      let hash = unsafe FieldSet.hash(name)
      return places.count { unsafe $0.hash == hash && isEqual(name, to: $0.name) }
    }
  }

  private func place(of name: StaticString) -> Place? {
    name.withUTF8Buffer { name in
      let name = UnsafeRawBufferPointer(name)
      let hash = unsafe FieldSet.hash(name)
      guard marks & FieldSet.mark(hash) != 0 else { return nil }
      return places.first { unsafe $0.hash == hash && isEqual(name, to: $0.name) }
    }
  }

  private func text(at place: Place) -> String { String(decoding: data[place.value], as: UTF8.self) }

  private func isEqual(_ bytes: UnsafeRawBufferPointer, to range: Range<Int>) -> Bool {
    guard range.count == bytes.count else { return false }
    return unsafe data.withUnsafeBytes { data in
      guard let start = data.baseAddress, let other = bytes.baseAddress else { return unsafe bytes.isEmpty }
      return unsafe memcmp(start + range.lowerBound, other, range.count) == 0
    }
  }
}

/// A set of field names: the fields that a reader copies out of entries.
public struct FieldSet: Sendable {
  /// The hashes of the names, each at the index that its highest six bits give; 0 where there is none.
  private var table = [UInt64](repeating: 0, count: 64)
  /// The hashes whose index was taken by another.
  private var others: [UInt64] = []

  /// Makes a set of names.
  public init(_ names: some Sequence<StaticString>) {
    self.init(hashes: names.map { $0.withUTF8Buffer { unsafe FieldSet.hash(UnsafeRawBufferPointer($0)) } })
  }

  private init(hashes: [UInt64]) {
    for hash in hashes where !contains(hash) {
      let place = FieldSet.place(of: hash)
      if table[place] == 0 { table[place] = hash } else { others.append(hash) }
    }
  }

  /// The names of both sets.
  public func union(_ other: FieldSet) -> FieldSet {
    FieldSet(hashes: [self, other].flatMap { $0.table.filter { $0 != 0 } + $0.others })
  }

  /// Whether the set has a name of this hash. Another name may have the same hash; then its field is copied needlessly, which
  /// does no harm.
  func contains(_ hash: UInt64) -> Bool { table[FieldSet.place(of: hash)] == hash || others.contains(hash) }

  /// The index of a hash in the table, from 0 to 63.
  private static func place(of hash: UInt64) -> Int { Int(hash &>> 58) }

  /// One of 64 bits. The union of the bits of many hashes is a Bloom filter of them: a hash whose bit is missing is not among
  /// them.
  static func mark(_ hash: UInt64) -> UInt64 { 1 &<< UInt64(place(of: hash)) }

  /// A hash of the first and last eight bytes of a name and of its length, in which nearly all field names differ.
  ///
  /// It is computed for every field of every entry: a hash of all bytes would be a large part of the cost of reading.
  static func hash(_ name: UnsafeRawBufferPointer) -> UInt64 {
    let length = name.count
    let ends: UInt64
    if length >= 8 {
      let first = unsafe name.loadUnaligned(as: UInt64.self)
      let last = unsafe name.loadUnaligned(fromByteOffset: length - 8, as: UInt64.self)
      ends = first &* 31 &+ last
    } else {
      ends = unsafe name.reduce(0) { $0 << 8 | UInt64($1) }
    }
    return (ends &+ UInt64(length)) &* 0x9E37_79B9_7F4A_7C15
  }
}
