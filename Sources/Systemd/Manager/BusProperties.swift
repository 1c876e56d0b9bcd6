/// The value of a D-Bus property, of the types that the properties of the service manager and its units have.
public enum BusValue: Sendable, Equatable {
  case text(String)
  case texts([String])
  /// An integer, a boolean (0 or 1), or the number of a job. A negative integer has its two's complement.
  case number(UInt64)
  /// An id of 16 bytes as 32 hexadecimal digits; nil if it is empty or all zero, as for a unit that never ran.
  case id(String?)
}

/// The properties of an object by name, without those of types that `BusValue` lacks.
public typealias BusProperties = [String: BusValue]

extension BusProperties {
  /// The value of a text; empty if there is no text of this name.
  public func text(_ name: String) -> String { if case .text(let text) = self[name] { text } else { "" } }
  /// The value of a list of texts; empty if there is none of this name.
  public func texts(_ name: String) -> [String] { if case .texts(let texts) = self[name] { texts } else { [] } }
  /// The value of a number; 0 if there is no number of this name.
  public func number(_ name: String) -> UInt64 { if case .number(let number) = self[name] { number } else { 0 } }
  /// The value of an id; nil if there is no id of this name.
  public func id(_ name: String) -> String? { if case .id(let id) = self[name] { id } else { nil } }
}
