internal import CSystemd
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
  private var data: [UInt8] = []
  /// How much of that is this entry's.
  private var length = 0
  private var places: [Place] = []
  /// A bit for each mark that the hash of a field has: a field that is not there is hardly looked for.
  private var marks: UInt64 = 0

  /// Where a field is.
  struct Place: Sendable {
    /// Tells most names apart without a look at them.
    let hash: UInt64
    let start: Int
    let equals: Int
    let end: Int

    var name: Range<Int> { start..<equals }
    var value: Range<Int> { equals + 1..<end }
  }

  /// Whether a field may occur more than once; those of different names count as well where their hash is the same.
  public private(set) var hasRepetitions = false

  /// Where the entry is.
  public internal(set) var cursor = ""
  /// Wall-clock time of reception in microseconds since 1970.
  public internal(set) var realtime: UInt64 = 0
  /// Time of reception in microseconds since its boot.
  public internal(set) var monotonic: UInt64 = 0
  /// The boot id: 32 hexadecimal digits.
  public private(set) var boot = ""
  /// The same, to see that it is the same in the next entry: the text is made once for each boot.
  private var bootID: (UInt64, UInt64)?

  /// An entry without fields, to be read into.
  public init() {}

  /// Makes an entry of its parts.
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

  /// Makes room for other fields, in the same memory.
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

  /// Adds a field: its text, the length of its name and the hash of that.
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

  /// Whether the first field of that name has this value: the same as to compare the value, without a copy of it.
  public func has(_ name: StaticString, _ value: String) -> Bool {
    guard let place = place(of: name) else { return false }
    return unsafe value.utf8Span.span.withUnsafeBytes { unsafe isEqual($0, to: place.value) }
  }

  /// The value of the first field of that name as a 128-bit id, as systemd writes them: 32 digits, in small letters; nil
  /// where it is none.
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

  /// The value of a digit; more than 15 if it is none.
  private static func digit(_ byte: UInt8) -> UInt8 {
    let number = byte &- UInt8(ascii: "0")
    let letter = byte &- UInt8(ascii: "a")
    return number < 10 ? number : letter < 6 ? letter &+ 10 : 255
  }

  /// How often a field occurs.
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

/// Names of fields that are wanted of entries, so that the others need not be copied.
public struct FieldSet: Sendable {
  /// The hashes of the names, each at the place that its highest bits tell; 0 where there is none.
  private var table = [UInt64](repeating: 0, count: 64)
  /// Those whose place was taken.
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

  /// Whether a name of this hash is wanted. Another name of the same hash would be copied for nothing, no more.
  func contains(_ hash: UInt64) -> Bool { table[FieldSet.place(of: hash)] == hash || others.contains(hash) }

  /// A number below 64.
  private static func place(of hash: UInt64) -> Int { Int(hash &>> 58) }

  /// One bit of 64: a set of them tells of most hashes that they are not among those that it was made of.
  static func mark(_ hash: UInt64) -> UInt64 { 1 &<< UInt64(place(of: hash)) }

  /// Tells names apart by their ends and their length, as nearly all differ there. This is done for every field of every
  /// entry: a good hash would be a good part of the cost of reading.
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
