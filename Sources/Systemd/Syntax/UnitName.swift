/// The name of a unit and its parts (systemd.unit(5)).
public struct UnitName: Sendable, Hashable {
  /// The whole name: `getty@tty1.service`.
  public let text: String

  /// Makes a unit name from a text, without a check.
  public init(_ text: String) {
    self.text = text
  }

  /// The suffixes of all unit types, the most frequent first.
  public static let suffixes = [
    "service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope",
    "snapshot",
  ]

  /// The type of the unit (`service`); nil if the name does not end with a suffix of a unit type.
  public var suffix: String? {
    guard let dot = text.lastIndex(of: ".") else { return nil }
    let suffix = String(text[text.index(after: dot)...])
    return Self.suffixes.contains(suffix) ? suffix : nil
  }

  /// The name without its suffix: `getty@tty1`.
  public var withoutSuffix: String {
    suffix.map { String(text.dropLast($0.count + 1)) } ?? text
  }

  /// The name up to the `@` of a template or instance (`getty`); for other units the name without its suffix.
  public var prefix: String { String(withoutSuffix.prefix { $0 != "@" }) }

  /// The text between the `@` and the suffix (`tty1`): empty for a template, nil for a name without `@`.
  public var instance: String? {
    let name = withoutSuffix
    return name.firstIndex(of: "@").map { String(name[name.index(after: $0)...]) }
  }

  /// Whether this is the name of a template such as `getty@.service`, which cannot itself be started.
  public var isTemplate: Bool { instance == "" }

  /// Reverses systemd-escape(1): in a part of a unit name, `-` stands for `/` and `\x2d` for `-`.
  public static func unescape(_ text: String) -> String {
    let escaped = Array(text.utf8)
    var bytes: [UInt8] = []
    var index = 0
    while index < escaped.count {
      if escaped[index] == UInt8(ascii: "-") {
        bytes.append(UInt8(ascii: "/"))
      } else if escaped[index] == UInt8(ascii: "\\"), index + 3 < escaped.count,
        escaped[index + 1] == UInt8(ascii: "x"),
        let byte = UInt8(String(decoding: escaped[(index + 2)...(index + 3)], as: UTF8.self), radix: 16)
      {
        bytes.append(byte)
        index += 3
      } else {
        bytes.append(escaped[index])
      }
      index += 1
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether this is a valid unit name: at most 255 bytes, only characters that systemd.unit(5) allows, and at least one of
  /// them before the suffix.
  public var isValid: Bool {
    var text = text
    return text.withUTF8 { bytes in
      guard bytes.count < 256, unsafe bytes.first != UInt8(ascii: "@"),
        let dot = unsafe bytes.lastIndex(of: UInt8(ascii: ".")), dot > 0,
        unsafe bytes.allSatisfy({ $0.isLetter || $0.isDigit || UnitName.isOtherCharacter($0) })
      else { return false }
      return Self.suffixes.contains(unsafe String(decoding: bytes[(dot + 1)...], as: UTF8.self))
    }
  }

  private static func isOtherCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "\\"),
      UInt8(ascii: "@"):
      true
    default: false
    }
  }
}
