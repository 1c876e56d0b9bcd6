/// Numbers that a seed decides (SplitMix64): the same on every machine.
package struct SeededNumbers: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// True once in so many times.
  package mutating func isOne(in count: Int) -> Bool { next() % UInt64(count) == 0 }

  /// A number from 0 up to, and without, another; without the generic code that makes debug builds slow.
  package mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

  /// A number of a range.
  package mutating func among(_ range: ClosedRange<UInt64>) -> UInt64 {
    range.lowerBound + next() % (range.upperBound - range.lowerBound + 1)
  }

  /// One element of a list that is not empty.
  package mutating func pick<Element>(_ list: [Element]) -> Element { list[below(list.count)] }

  /// 32 hexadecimal digits.
  package mutating func id() -> String {
    String(unsafeUninitializedCapacity: 32) { digits in
      for half in 0..<2 {
        var rest = next()
        for place in 0..<16 {
          let digit = UInt8(truncatingIfNeeded: rest & 15)
          digits[half * 16 + place] = digit < 10 ? 48 + digit : 87 + digit
          rest >>= 4
        }
      }
      return 32
    }
  }
}
