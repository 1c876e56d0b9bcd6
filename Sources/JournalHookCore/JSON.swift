/// Writes one JSON object on one line; keys keep the order in which they were added.
package struct JSONObject: Sendable {
  private var members: [String] = []

  package init() {}

  /// Adds a text; nothing when it is nil.
  package mutating func add(_ key: String, _ value: String?) {
    if let value { members.append("\(JSONObject.quote(key)):\(JSONObject.quote(value))") }
  }

  /// Adds a number; nothing when it is nil.
  package mutating func add(_ key: String, _ value: (some BinaryInteger)?) {
    if let value { members.append("\(JSONObject.quote(key)):\(value)") }
  }

  /// Adds a truth value; nothing when it is nil.
  package mutating func add(_ key: String, _ value: Bool?) {
    if let value { members.append("\(JSONObject.quote(key)):\(value)") }
  }

  /// Adds an object; nothing when it is nil.
  package mutating func add(_ key: String, _ value: JSONObject?) {
    if let value { members.append("\(JSONObject.quote(key)):\(value.text)") }
  }

  /// Adds a list of objects.
  package mutating func add(_ key: String, _ values: [JSONObject]) {
    members.append("\(JSONObject.quote(key)):[\(values.map(\.text).joined(separator: ","))]")
  }

  /// Adds a list of texts.
  package mutating func add(_ key: String, _ values: [String]) {
    members.append("\(JSONObject.quote(key)):[\(values.map(JSONObject.quote).joined(separator: ","))]")
  }

  /// The object.
  package var text: String { "{\(members.joined(separator: ","))}" }

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

  /// A text as a JSON string (RFC 8259): quotes, backslashes and control characters escaped.
  static func quote(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{0}"..<"\u{20}", "\u{7F}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
