internal import SimulatedSystem

/// Numbers that a seed decides, and the choices that histories make with them.
struct Chance: RandomNumberGenerator {
  private var numbers: SeededNumbers

  init(_ seed: UInt64) { numbers = SeededNumbers(seed: seed) }

  mutating func next() -> UInt64 { numbers.next() }

  /// A number from 0 up to, but not including, a limit.
  mutating func below(_ limit: Int) -> Int { numbers.below(limit) }

  /// True once in so many times.
  mutating func once(in count: Int) -> Bool { numbers.isOne(in: count) }

  /// A time in microseconds, as often below a millisecond as above a second.
  mutating func time(upTo limit: UInt64) -> UInt64 {
    var most = limit
    for _ in 0..<below(6) { most /= 8 }
    return next() % max(1, most)
  }
}
