/// Writes one JSON object on one line; keys keep the order in which they were added.
package struct JSONObject: Sendable {
  /// The object without its last brace.
  private var open: [UInt8] = [UInt8(ascii: "{")]

  package init() { open.reserveCapacity(1024) }

  /// Adds a text; nothing when it is nil.
  package mutating func add(_ key: String, _ value: String?) {
    guard let value else { return }
    begin(key)
    quote(value)
  }

  /// Adds a number; nothing when it is nil.
  package mutating func add(_ key: String, _ value: (some BinaryInteger)?) {
    guard let value else { return }
    begin(key)
    open += value.description.utf8
  }

  /// Adds a truth value; nothing when it is nil.
  package mutating func add(_ key: String, _ value: Bool?) {
    guard let value else { return }
    begin(key)
    open += (value ? "true" : "false").utf8
  }

  /// Adds an object; nothing when it is nil.
  package mutating func add(_ key: String, _ value: JSONObject?) {
    guard let value else { return }
    begin(key)
    open += value.bytes
  }

  /// Adds a list of objects.
  package mutating func add(_ key: String, _ values: [JSONObject]) {
    addList(key, values) { $0.open += $1.bytes }
  }

  /// Adds a list of texts.
  package mutating func add(_ key: String, _ values: [String]) {
    addList(key, values) { $0.quote($1) }
  }

  /// The object's text in UTF-8.
  package var bytes: [UInt8] { open + [UInt8(ascii: "}")] }

  /// The object.
  package var text: String { String(decoding: bytes, as: UTF8.self) }

  private mutating func begin(_ key: String) {
    if open.count > 1 { open.append(UInt8(ascii: ",")) }
    // Keys are ours: there is nothing in them to be escaped.
    open.append(UInt8(ascii: "\""))
    var key = key
    key.withUTF8 { unsafe open.append(contentsOf: $0) }
    open.append(UInt8(ascii: "\""))
    open.append(UInt8(ascii: ":"))
  }

  private mutating func addList<Value>(_ key: String, _ values: [Value], _ add: (inout JSONObject, Value) -> Void) {
    begin(key)
    open.append(UInt8(ascii: "["))
    for (index, value) in values.enumerated() {
      if index > 0 { open.append(UInt8(ascii: ",")) }
      add(&self, value)
    }
    open.append(UInt8(ascii: "]"))
  }

  /// Adds a text as a JSON string (RFC 8259): quotes, backslashes and control characters escaped.
  private mutating func quote(_ text: String) {
    open.append(UInt8(ascii: "\""))
    var text = text
    text.withUTF8 { unsafe escape($0) }
    open.append(UInt8(ascii: "\""))
  }

  private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
    var plain = 0
    for place in 0..<text.count {
      // What has to be escaped is ASCII, and so one byte each.
      let byte = unsafe text[place]
      guard byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F else { continue }
      unsafe open.append(contentsOf: text[plain..<place])
      plain = place + 1
      open.append(UInt8(ascii: "\\"))
      switch byte {
      case 0x22: open.append(UInt8(ascii: "\""))
      case 0x5C: open.append(UInt8(ascii: "\\"))
      case 0x0A: open.append(UInt8(ascii: "n"))
      case 0x0D: open.append(UInt8(ascii: "r"))
      case 0x09: open.append(UInt8(ascii: "t"))
      default: open += (byte < 0x10 ? "u000" : "u00").utf8 + Array(String(byte, radix: 16).utf8)
      }
    }
    unsafe open.append(contentsOf: UnsafeBufferPointer(rebasing: text[plain...]))
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
