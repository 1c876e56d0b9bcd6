/// Writes one JSON object on one line; keys keep the order in which they were added.
package struct JSONObject: Sendable {
  /// What is before the object, and the object without its last brace.
  private var open: [UInt8]

  package init() {
    self.init(behind: [])
    // Enough for most, and little enough for malloc(3) to have it at hand.
    open.reserveCapacity(960)
  }

  private init(behind text: consuming [UInt8]) {
    text.append(UInt8(ascii: "{"))
    open = text
  }

  /// Appends an object to a text, without a copy of either.
  package static func append(to text: inout [UInt8], _ write: (inout JSONObject) -> Void) {
    var object = JSONObject(behind: exchange(&text, with: []))
    write(&object)
    object.open.append(UInt8(ascii: "}"))
    swap(&text, &object.open)
  }

  /// Adds a text; nothing when it is nil.
  package mutating func add(_ key: StaticString, _ value: String?) {
    guard let value else { return }
    if JSONObject.isPlain(value.utf8Span.span) { return add(key, plain: value) }
    begin(key)
    quote(value)
  }

  /// Adds a text of our own or libsystemd's making, in which nothing need be escaped; nothing when it is nil.
  package mutating func add(_ key: StaticString, plain value: String?) {
    guard let value else { return }
    let text = value.utf8Span.span
    // All at once: nearly all that is written is like this.
    let isFirst = isEmpty
    open.append(addingCapacity: key.utf8CodeUnitCount + text.count + 6) { line in
      line.append(key: key, isFirst: isFirst)
      line.append(quoting: text)
    }
  }

  /// Adds a text under a key that is not ours, so that it may have to be escaped; nothing when it is nil.
  package mutating func add(named key: String, _ value: String?) {
    guard let value else { return }
    if !isEmpty { open.append(UInt8(ascii: ",")) }
    quote(key)
    open.append(UInt8(ascii: ":"))
    quote(value)
  }

  /// Adds a number; nothing when it is nil.
  package mutating func add(_ key: StaticString, _ value: (some BinaryInteger)?) {
    guard let value else { return }
    begin(key)
    open += value.description.utf8
  }

  /// Adds a truth value; nothing when it is nil.
  package mutating func add(_ key: StaticString, _ value: Bool?) {
    guard let value else { return }
    begin(key)
    open += (value ? "true" : "false").utf8
  }

  /// Adds an object that is written in place.
  package mutating func add(_ key: StaticString, _ write: (inout JSONObject) -> Void) {
    begin(key)
    open.append(UInt8(ascii: "{"))
    write(&self)
    open.append(UInt8(ascii: "}"))
  }

  /// Adds a list of objects.
  package mutating func add(_ key: StaticString, _ values: [JSONObject]) {
    addList(key, values) { $0.open += $1.bytes() }
  }

  /// Adds a list of texts.
  package mutating func add(_ key: StaticString, _ values: [String]) {
    addList(key, values) { $0.quote($1) }
  }

  /// The object's text in UTF-8.
  package consuming func bytes() -> [UInt8] {
    open.append(UInt8(ascii: "}"))
    return open
  }

  /// The object.
  package var text: String { String(decoding: bytes(), as: UTF8.self) }

  /// Whether nothing was added yet: no value ends with an open brace.
  private var isEmpty: Bool { open.last == UInt8(ascii: "{") }

  private mutating func begin(_ key: StaticString) {
    let isFirst = isEmpty
    open.append(addingCapacity: key.utf8CodeUnitCount + 4) { $0.append(key: key, isFirst: isFirst) }
  }

  private mutating func addList<Value>(_ key: StaticString, _ values: [Value], _ add: (inout JSONObject, Value) -> Void)
  {
    begin(key)
    open.append(UInt8(ascii: "["))
    for (index, value) in values.enumerated() {
      if index > 0 { open.append(UInt8(ascii: ",")) }
      add(&self, value)
    }
    open.append(UInt8(ascii: "]"))
  }

  /// Adds a text as a JSON string (RFC 8259): quotes, backslashes and control characters escaped.
  private mutating func quote(_ value: String) {
    let value = value.utf8Span.span
    if JSONObject.isPlain(value) {
      open.append(addingCapacity: value.count + 2) { $0.append(quoting: value) }
    } else {
      open.append(UInt8(ascii: "\""))
      for index in value.indices { escape(value[index]) }
      open.append(UInt8(ascii: "\""))
    }
  }

  /// Whether nothing in a text need be escaped, as in nearly all. Without a branch for each byte, many are looked at at once.
  private static func isPlain(_ text: Span<UInt8>) -> Bool {
    unsafe text.withUnsafeBufferPointer { bytes in
      var special: UInt8 = 0
      for index in 0..<bytes.count {
        let byte = unsafe bytes[index]
        special |= (byte < 0x20 ? 1 : 0) | (byte == 0x22 ? 1 : 0) | (byte == 0x5C ? 1 : 0) | (byte == 0x7F ? 1 : 0)
      }
      return special == 0
    }
  }

  private mutating func escape(_ byte: UInt8) {
    // What has to be escaped is ASCII, and so one byte each.
    switch byte {
    case 0x22: open += "\\\"".utf8
    case 0x5C: open += "\\\\".utf8
    case 0x0A: open += "\\n".utf8
    case 0x0D: open += "\\r".utf8
    case 0x09: open += "\\t".utf8
    case 0..<0x20, 0x7F: open += ((byte < 0x10 ? "\\u000" : "\\u00") + String(byte, radix: 16)).utf8
    default: open.append(byte)
    }
  }

  /// The object on several lines, one member each.
  package var prettyText: String {
    var result = ""
    var indent = 0
    var isInString = false
    var isEscaped = false
    func newLine() { result += "\n" + String(repeating: "\t", count: indent) }
    for character in text.unicodeScalars {
      if isInString {
        result.unicodeScalars.append(character)
        if !isEscaped, character == "\"" { isInString = false }
        isEscaped = !isEscaped && character == "\\"
        continue
      }
      switch character {
      case "{", "[":
        indent += 1
        result.unicodeScalars.append(character)
        newLine()
      case "}", "]":
        indent -= 1
        newLine()
        result.unicodeScalars.append(character)
      case ",":
        result += ","
        newLine()
      case ":": result += " : "
      default:
        isInString = character == "\""
        result.unicodeScalars.append(character)
      }
    }
    return result
  }
}

extension OutputSpan<UInt8> {
  /// Adds a key. Keys are ours: there is nothing in them to be escaped.
  fileprivate mutating func append(key: StaticString, isFirst: Bool) {
    if !isFirst { append(UInt8(ascii: ",")) }
    key.withUTF8Buffer { unsafe append(quoting: $0.span) }
    append(UInt8(ascii: ":"))
  }

  /// Adds a text in which nothing need be escaped.
  @inline(__always)
  fileprivate mutating func append(quoting text: Span<UInt8>) {
    append(UInt8(ascii: "\""))
    append(copying: text)
    append(UInt8(ascii: "\""))
  }

  /// Adds bytes all at once; one by one they would be most of the work.
  @inline(__always)
  private mutating func append(copying bytes: Span<UInt8>) {
    precondition(bytes.count <= freeCapacity)
    unsafe withUnsafeMutableBufferPointer { free, count in
      unsafe bytes.withUnsafeBufferPointer { bytes in
        guard let source = bytes.baseAddress, let start = free.baseAddress else { return }
        unsafe (start + count).initialize(from: source, count: bytes.count)
      }
      count += bytes.count
    }
  }
}
