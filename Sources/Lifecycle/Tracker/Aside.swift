/// A value that is there now and then, kept outside of what holds it.
///
/// So that stays small: units are many, and what is known of one is handed around for each of its entries.
@propertyWrapper
package struct Aside<Value: Sendable & Equatable>: Sendable, Equatable {
  /// One value or none.
  private var values: [Value] = []

  package init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  package var wrappedValue: Value? {
    get { values.first }
    set { values = newValue.map { [$0] } ?? [] }
  }

  /// Whether there is none: cheaper than to compare it with nil.
  var isEmpty: Bool { values.isEmpty }

  /// What is asked of it, if it is there: without a copy.
  func read<Part>(_ part: (Value) -> Part) -> Part? { values.isEmpty ? nil : part(values[0]) }

  /// Takes it out.
  mutating func take() -> Value? { values.popLast() }
}
