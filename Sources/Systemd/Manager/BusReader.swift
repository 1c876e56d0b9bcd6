internal import CSystemd

/// The code of a D-Bus type (`s`, `a`, `v`, …) in the form in which the functions of sd-bus take it.
package func busType(_ code: Unicode.Scalar) -> CChar { CChar(truncatingIfNeeded: code.value) }

/// Reads the values of a received message, one after the other (sd_bus_message_read_basic(3)).
///
/// The reader borrows the message: it must not be used after the callback that the message was passed to.
@safe struct BusReader {
  private let message: OpaquePointer?

  init(_ message: OpaquePointer?) { unsafe self.message = unsafe message }

  // MARK: The message

  func isSignal(_ interface: String, _ member: String) -> Bool {
    unsafe sd_bus_message_is_signal(message, interface, member) > 0
  }

  /// The `errno` for a reply that is an error; nil for every other message.
  var errorCode: CInt? {
    unsafe sd_bus_message_is_method_error(message, nil) > 0 ? sd_bus_message_get_errno(message) : nil
  }

  /// The object that has sent a signal.
  var path: String? { unsafe sd_bus_message_get_path(message).map { unsafe String(cString: $0) } }

  // MARK: Containers

  /// Goes into an array (`a`), a structure (`r`), an entry of a dictionary (`e`) or a variant (`v`); false at the end of the
  /// values around it, or if something else comes next.
  func enter(_ container: Unicode.Scalar, _ contents: String) -> Bool {
    unsafe sd_bus_message_enter_container(message, busType(container), contents) > 0
  }

  /// Leaves the container. All its values must have been read or skipped.
  @discardableResult
  func exit() -> Bool { unsafe sd_bus_message_exit_container(message) >= 0 }

  /// Skips values of the given types.
  @discardableResult
  func skip(_ types: String) -> Bool { unsafe sd_bus_message_skip(message, types) >= 0 }

  // MARK: Values

  /// Reads a string (`s`) or an object path (`o`); nil if something else comes next.
  func text(_ type: Unicode.Scalar = "s") -> String? {
    var text: UnsafePointer<CChar>?
    guard unsafe sd_bus_message_read_basic(message, busType(type), &text) > 0 else { return nil }
    return unsafe text.map { unsafe String(cString: $0) }
  }

  /// Reads an array of strings.
  func texts() -> [String]? {
    guard enter("a", "s") else { return nil }
    var texts: [String] = []
    while let text = text() { texts.append(text) }
    return exit() ? texts : nil
  }

  /// Reads a number or a boolean. `Number` must have the size of the type: a boolean (`b`) has that of an int.
  func number<Number: FixedWidthInteger>(_ type: Unicode.Scalar, as: Number.Type = Number.self) -> Number? {
    var number: Number = 0
    return unsafe sd_bus_message_read_basic(message, busType(type), &number) > 0 ? number : nil
  }

  /// Reads an id: an array of 16 bytes. Of any other array the value is `.id(nil)`.
  private func id() -> BusValue? {
    var bytes: UnsafeRawPointer?
    var count = 0
    guard unsafe sd_bus_message_read_array(message, busType("y"), &bytes, &count) >= 0 else { return nil }
    guard count == 16, let bytes = unsafe bytes else { return .id(nil) }
    let id = unsafe bytes.loadUnaligned(as: sd_id128_t.self).hexadecimal
    return .id(id.allSatisfy { $0 == "0" } ? nil : id)
  }

  /// Reads a job: a structure of its number and its object path.
  private func job() -> BusValue? {
    guard enter("r", "uo"), let number = number("u", as: UInt32.self), skip("o"), exit() else { return nil }
    return .number(UInt64(number))
  }

  // MARK: Properties

  /// Reads the properties of an object, `a{sv}`: the reply to `GetAll`, or the changes in `PropertiesChanged`.
  ///
  /// - Parameter wanted: the properties that are needed; all if nil.
  /// - Returns: nil if the message is malformed.
  func properties(_ wanted: Set<String>? = nil) -> BusProperties? {
    guard enter("a", "{sv}") else { return nil }
    var properties: BusProperties = [:]
    while enter("e", "sv") {
      guard let name = text() else { return nil }
      if wanted?.contains(name) == false {
        guard skip("v") else { return nil }
      } else {
        guard property({ properties[name] = $0 }) else { return nil }
      }
      exit()
    }
    return properties
  }

  /// Reads the value of a property, `v`: the reply to `Get`.
  ///
  /// - Returns: nil if the message is malformed, or the value has a type that `BusValue` lacks.
  func property() -> BusValue? {
    var value: BusValue?
    return property { value = $0 } ? value : nil
  }

  /// Reads a variant, and skips it if `BusValue` lacks its type; false if the message is malformed.
  private func property(_ take: (BusValue) -> Void) -> Bool {
    var kind: CChar = 0
    var contents: UnsafePointer<CChar>?
    guard unsafe sd_bus_message_peek_type(message, &kind, &contents) > 0, let contents = unsafe contents else {
      return false
    }
    let signature = unsafe String(cString: contents)
    guard ["s", "as", "ay", "t", "u", "i", "b", "(uo)"].contains(signature) else { return skip("v") }
    guard enter("v", signature), let value = value(signature) else { return false }
    take(value)
    return exit()
  }

  private func value(_ signature: String) -> BusValue? {
    switch signature {
    case "s": text().map(BusValue.text)
    case "as": texts().map(BusValue.texts)
    case "ay": id()
    case "(uo)": job()
    case "t": number("t").map { .number($0) }
    case "i": number("i", as: Int32.self).map { .number(UInt64(truncatingIfNeeded: $0)) }
    case "b": number("b", as: UInt32.self).map { .number(UInt64($0)) }
    default: number("u", as: UInt32.self).map { .number(UInt64($0)) }
    }
  }
}
