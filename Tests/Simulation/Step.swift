/// One thing that happens in a history, and how long it takes until the next.
///
/// A step decides by its own seed: the others stay the same without it.
package struct Step: Sendable, CustomStringConvertible {
  package enum Kind: String, Sendable, CaseIterable {
    /// Somebody does something to a unit, or a unit's process does something.
    case unit
    case startFollow, killFollow, endFollow, reloadFollow
    /// `follow` is killed in the middle of writing to the ledger.
    case killWriting
    case startReplay, killReplay, endReplay
    /// `follow` is started with other hooks from now on.
    case otherHooks
    case reboot, powerCut
    case setClock
    case stallJournald, killJournald, rotate, vacuum, flush
    case readError, diskError, diskFull, diskLocked, hookError
    case closeBus
  }

  package var kind: Kind
  package var seed: UInt64
  /// The time until the next step, in microseconds.
  package var pause: UInt64

  package var description: String { "\(kind.rawValue) \(seed), then \(pause) us" }
}

/// What happens on a machine: all of it follows from a seed and steps.
package struct History: Sendable {
  package var seed: UInt64
  package var steps: [Step]

  /// The history of a seed.
  package init(seed: UInt64) {
    self.seed = seed
    var chance = Chance(seed)
    // Few kinds of trouble in one history: what one kind breaks, another one hides.
    let troubles = Kind.troubles.filter { _ in chance.once(in: 4) }
    steps = (0..<(10 + chance.below(40))).map { _ in
      var kind = Kind.unit
      if !troubles.isEmpty, chance.once(in: 4) { kind = troubles[chance.below(troubles.count)] }
      return Step(kind: kind, seed: chance.next(), pause: chance.time(upTo: 4_000_000))
    }
  }

  package init(seed: UInt64, steps: [Step]) {
    self.seed = seed
    self.steps = steps
  }

  private typealias Kind = Step.Kind
}

extension Step.Kind {
  /// All but what happens to units.
  static let troubles: [Step.Kind] = allCases.filter { $0 != .unit }

  /// Whether something is made to fail.
  var isTrouble: Bool { [.readError, .diskError, .diskFull, .diskLocked, .hookError].contains(self) }
}
