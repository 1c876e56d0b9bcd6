internal import CSystemd
internal import Glibc

/// The value of a D-Bus property, of the types that the service manager's questions are about.
public enum BusValue: Sendable, Equatable {
  case text(String)
  case texts([String])
  case number(UInt64)
  /// An id of 16 bytes as 32 hexadecimal digits; nil when it is empty or all zero, which is how a unit that never ran is told.
  case id(String?)
}

/// The properties of an object, by name; those of other types are left out.
public typealias BusProperties = [String: BusValue]

/// Reads D-Bus properties out of messages (sd_bus_message_read(3)).
enum BusPropertyReader {
  /// Reads an `a{sv}`: what `GetAll` answers.
  static func all(_ message: OpaquePointer?) -> BusProperties? {
    guard unsafe sd_bus_message_enter_container(message, type("a"), "{sv}") > 0 else { return nil }
    var properties: BusProperties = [:]
    while unsafe sd_bus_message_enter_container(message, type("e"), "sv") > 0 {
      guard let name = unsafe text(message), unsafe variant(message, { properties[name] = $0 }) else { return nil }
      unsafe sd_bus_message_exit_container(message)
    }
    return properties
  }

  /// Reads a `v`: what `Get` answers.
  static func one(_ message: OpaquePointer?) -> BusValue? {
    var value: BusValue?
    return unsafe variant(message) { value = $0 } ? value : nil
  }

  /// Reads a variant; false when the message cannot be read.
  private static func variant(_ message: OpaquePointer?, _ take: (BusValue) -> Void) -> Bool {
    var kind: CChar = 0
    var contents: UnsafePointer<CChar>?
    guard unsafe sd_bus_message_peek_type(message, &kind, &contents) > 0, let contents = unsafe contents else {
      return false
    }
    let signature = unsafe String(cString: contents)
    guard ["s", "as", "ay", "t", "u", "b", "(uo)"].contains(signature) else {
      return unsafe sd_bus_message_skip(message, "v") >= 0
    }
    guard unsafe sd_bus_message_enter_container(message, type("v"), signature) > 0,
      let value = unsafe value(message, signature)
    else { return false }
    take(value)
    return unsafe sd_bus_message_exit_container(message) >= 0
  }

  private static func value(_ message: OpaquePointer?, _ signature: String) -> BusValue? {
    switch signature {
    case "s": return unsafe text(message).map(BusValue.text)
    case "as":
      guard unsafe sd_bus_message_enter_container(message, type("a"), "s") >= 0 else { return nil }
      var texts: [String] = []
      while let text = unsafe text(message) { texts.append(text) }
      unsafe sd_bus_message_exit_container(message)
      return .texts(texts)
    case "ay":
      var bytes: UnsafeRawPointer?
      var count = 0
      guard unsafe sd_bus_message_read_array(message, type("y"), &bytes, &count) >= 0 else { return nil }
      guard count == 16, let bytes = unsafe bytes else { return .id(nil) }
      let id = unsafe bytes.loadUnaligned(as: sd_id128_t.self).hexadecimal
      return .id(id.allSatisfy { $0 == "0" } ? nil : id)
    case "(uo)":
      // A job: its number and its path. What is left of a container that is not read to its end cannot be passed over.
      guard unsafe sd_bus_message_enter_container(message, type("r"), "uo") > 0 else { return nil }
      var number: UInt32 = 0
      guard unsafe sd_bus_message_read_basic(message, type("u"), &number) > 0,
        unsafe sd_bus_message_skip(message, "o") >= 0, unsafe sd_bus_message_exit_container(message) >= 0
      else { return nil }
      return .number(UInt64(number))
    case "t":
      var number: UInt64 = 0
      return unsafe sd_bus_message_read_basic(message, type("t"), &number) > 0 ? .number(number) : nil
    default:
      // A boolean takes the room of an int.
      var number: UInt32 = 0
      return unsafe sd_bus_message_read_basic(message, CChar(signature.utf8.first ?? 0), &number) > 0
        ? .number(UInt64(number)) : nil
    }
  }

  static func text(_ message: OpaquePointer?) -> String? {
    var text: UnsafePointer<CChar>?
    guard unsafe sd_bus_message_read_basic(message, type("s"), &text) > 0 else { return nil }
    return unsafe text.map { unsafe String(cString: $0) }
  }

  private static func type(_ letter: Unicode.Scalar) -> CChar { CChar(truncatingIfNeeded: letter.value) }
}

extension BusProperties {
  /// A text; empty if there is none of this name.
  public func text(_ name: String) -> String { if case .text(let text) = self[name] { text } else { "" } }
  /// Several texts; empty if there are none of this name.
  public func texts(_ name: String) -> [String] { if case .texts(let texts) = self[name] { texts } else { [] } }
  /// A number; 0 if there is none of this name.
  public func number(_ name: String) -> UInt64 { if case .number(let number) = self[name] { number } else { 0 } }
  /// An id; nil if there is none of this name.
  public func id(_ name: String) -> String? { if case .id(let id) = self[name] { id } else { nil } }
}
