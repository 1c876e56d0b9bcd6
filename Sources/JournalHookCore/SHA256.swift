/// The hash function of FIPS 180-4, for event ids.
///
/// They must not collide even for unit names that somebody chose for it (mounts have such names), and neither libsystemd nor
/// SQLite offers one; swift-crypto would bring in all of BoringSSL.
enum SHA256 {
  /// The hash, or its first digits.
  static func hexadecimalDigest(of message: [UInt8], digits count: Int = 64) -> String {
    var state = initialState
    // A one bit, zeros up to 8 bytes before a block's end, the length in bits.
    var padded = message
    padded.append(0x80)
    while padded.count % 64 != 56 { padded.append(0) }
    let bits = UInt64(message.count) * 8
    for shift in stride(from: UInt64(56), through: 0, by: -8) {
      padded.append(UInt8(truncatingIfNeeded: bits &>> shift))
    }
    // A long journal takes thousands of ids a second: nothing in here is allocated or checked twice.
    unsafe withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { schedule in
      unsafe roundConstants.withUnsafeBufferPointer { constants in
        unsafe padded.withUnsafeBufferPointer { message in
          for start in stride(from: 0, to: message.count, by: 64) {
            unsafe compress(message, start, schedule, constants, into: &state)
          }
        }
      }
    }
    return unsafe String(unsafeUninitializedCapacity: count) { text in
      for index in 0..<count {
        let digit = UInt8(truncatingIfNeeded: (state[index / 8] &>> UInt32(28 - index % 8 * 4)) & 15)
        unsafe text[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
      }
      return count
    }
  }

  private typealias State = InlineArray<8, UInt32>

  private static func compress(
    _ message: UnsafeBufferPointer<UInt8>, _ start: Int, _ schedule: UnsafeMutableBufferPointer<UInt32>,
    _ constants: UnsafeBufferPointer<UInt32>, into state: inout State
  ) {
    for index in 0..<16 {
      let at = start &+ index &* 4
      let high = unsafe UInt32(message[at]) &<< 24 | UInt32(message[at &+ 1]) &<< 16
      unsafe schedule[index] = high | UInt32(message[at &+ 2]) &<< 8 | UInt32(message[at &+ 3])
    }
    for index in 16..<64 {
      let a = unsafe schedule[index &- 15]
      let b = unsafe schedule[index &- 2]
      let s0 = rotate(a, 7) ^ rotate(a, 18) ^ (a &>> 3)
      let s1 = rotate(b, 17) ^ rotate(b, 19) ^ (b &>> 10)
      unsafe schedule[index] = schedule[index &- 16] &+ s0 &+ schedule[index &- 7] &+ s1
    }
    // Eight words that move on by one place each round: names of their own instead of an array per round.
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for index in 0..<64 {
      let s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
      let choice = (e & f) ^ (~e & g)
      let t1 = unsafe h &+ s1 &+ choice &+ constants[index] &+ schedule[index]
      let s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
      let majority = (a & b) ^ (a & c) ^ (b & c)
      (h, g, f, e) = (g, f, e, d &+ t1)
      (d, c, b, a) = (c, b, a, t1 &+ s0 &+ majority)
    }
    let words: State = [a, b, c, d, e, f, g, h]
    for index in 0..<8 { state[index] &+= words[index] }
  }

  @inline(__always)
  private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word &>> count | word &<< (32 &- count) }

  // The fractional parts of the square roots of the first 8 primes and of the cube roots of the first 64.
  private static let initialState = State { fraction(of: primes[$0], root: 2) }
  private static let roundConstants: [UInt32] = primes.map { fraction(of: $0, root: 3) }

  private static let primes: [UInt64] = (2...311).filter { number in !(2..<number).contains { number % $0 == 0 } }

  /// The first 32 bits behind the point of a number's square or cube root, by bisection in whole numbers.
  private static func fraction(of number: UInt64, root: Int) -> UInt32 {
    var low: UInt64 = 0
    var high: UInt64 = 1 << 37
    while high - low > 1 {
      let middle = (low + high) / 2
      if power(middle, isAtMost: number, root: root) { low = middle } else { high = middle }
    }
    return UInt32(truncatingIfNeeded: low)
  }

  /// Whether (x / 2³²)^root ≤ number.
  private static func power(_ x: UInt64, isAtMost number: UInt64, root: Int) -> Bool {
    var left = UInt128(x)
    var right = UInt128(number)
    // Squares fit 74 bits, cubes 111: no overflow.
    for _ in 1..<root { left *= UInt128(x) }
    right <<= UInt128(32 * root)
    return left <= right
  }
}
