internal import Systemd

/// The hash function of FIPS 180-4, for event ids.
///
/// They must not collide even for unit names that somebody chose for it (mounts have such names), and neither libsystemd nor
/// SQLite offers one; swift-crypto would bring in all of BoringSSL.
package struct SHA256: Sendable {
  private typealias State = InlineArray<8, UInt32>
  private typealias Schedule = InlineArray<16, UInt32>

  private var state = initialState
  /// The block that is being filled.
  private var block = InlineArray<64, UInt8>(repeating: 0)
  /// How many bytes there were.
  private var length = 0

  /// Begins a message.
  package init() {}

  /// Goes on with more of the message.
  package mutating func update(_ text: String) {
    var rest = text.utf8Span.span
    while !rest.isEmpty {
      let start = length & 63
      let part = rest.extracting(first: 64 - start)
      for index in part.indices { block[start &+ index] = part[index] }
      rest = rest.extracting(droppingFirst: part.count)
      length &+= part.count
      if length & 63 == 0 { compress() }
    }
  }

  /// The hash, or its first digits.
  package consuming func hexadecimalDigest(digits count: Int = 64) -> String {
    // A one bit, zeros up to 8 bytes before a block's end, the length in bits.
    var end = length & 63
    block[end] = 0x80
    end += 1
    if end > 56 {
      for index in end..<64 { block[index] = 0 }
      compress()
      end = 0
    }
    for index in end..<56 { block[index] = 0 }
    let bits = UInt64(length) &* 8
    for index in 0..<8 { block[56 &+ index] = UInt8(truncatingIfNeeded: bits &>> UInt64(56 &- 8 &* index)) }
    compress()
    let digest = State { state[$0].bigEndian }
    return unsafe withUnsafeBytes(of: digest) { digest in
      unsafe String(hexadecimal: UnsafeRawBufferPointer(rebasing: digest[..<(count / 2)]))
    }
  }

  /// Takes the block. A long journal takes thousands of ids a second: nothing in here is allocated.
  private mutating func compress() {
    var schedule = Schedule { index in
      let at = index &* 4
      let high = UInt32(block[at]) &<< 24 | UInt32(block[at &+ 1]) &<< 16
      return high | UInt32(block[at &+ 2]) &<< 8 | UInt32(block[at &+ 3])
    }
    let constants = SHA256.roundConstants.span
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for start in stride(from: 0, to: 64, by: 16) {
      if start > 0 { SHA256.extend(&schedule) }
      let k = constants.extracting(start..<start + 16)
      // The words move on by one place each round; after eight rounds they are where they were.
      SHA256.round(a, b, c, &d, e, f, g, &h, k[0] &+ schedule[0])
      SHA256.round(h, a, b, &c, d, e, f, &g, k[1] &+ schedule[1])
      SHA256.round(g, h, a, &b, c, d, e, &f, k[2] &+ schedule[2])
      SHA256.round(f, g, h, &a, b, c, d, &e, k[3] &+ schedule[3])
      SHA256.round(e, f, g, &h, a, b, c, &d, k[4] &+ schedule[4])
      SHA256.round(d, e, f, &g, h, a, b, &c, k[5] &+ schedule[5])
      SHA256.round(c, d, e, &f, g, h, a, &b, k[6] &+ schedule[6])
      SHA256.round(b, c, d, &e, f, g, h, &a, k[7] &+ schedule[7])
      SHA256.round(a, b, c, &d, e, f, g, &h, k[8] &+ schedule[8])
      SHA256.round(h, a, b, &c, d, e, f, &g, k[9] &+ schedule[9])
      SHA256.round(g, h, a, &b, c, d, e, &f, k[10] &+ schedule[10])
      SHA256.round(f, g, h, &a, b, c, d, &e, k[11] &+ schedule[11])
      SHA256.round(e, f, g, &h, a, b, c, &d, k[12] &+ schedule[12])
      SHA256.round(d, e, f, &g, h, a, b, &c, k[13] &+ schedule[13])
      SHA256.round(c, d, e, &f, g, h, a, &b, k[14] &+ schedule[14])
      SHA256.round(b, c, d, &e, f, g, h, &a, k[15] &+ schedule[15])
    }
    let words: State = [a, b, c, d, e, f, g, h]
    for index in 0..<8 { state[index] &+= words[index] }
  }

  /// Makes the next sixteen words of the message schedule, in place of those before. A loop would compute the places again.
  @inline(__always)
  private static func extend(_ schedule: inout Schedule) {
    extend(&schedule, 0)
    extend(&schedule, 1)
    extend(&schedule, 2)
    extend(&schedule, 3)
    extend(&schedule, 4)
    extend(&schedule, 5)
    extend(&schedule, 6)
    extend(&schedule, 7)
    extend(&schedule, 8)
    extend(&schedule, 9)
    extend(&schedule, 10)
    extend(&schedule, 11)
    extend(&schedule, 12)
    extend(&schedule, 13)
    extend(&schedule, 14)
    extend(&schedule, 15)
  }

  @inline(__always)
  private static func extend(_ schedule: inout Schedule, _ index: Int) {
    let a = schedule[(index &+ 1) & 15]
    let b = schedule[(index &+ 14) & 15]
    let s0 = rotate(a, 7) ^ rotate(a, 18) ^ (a &>> 3)
    let s1 = rotate(b, 17) ^ rotate(b, 19) ^ (b &>> 10)
    schedule[index] &+= s0 &+ schedule[(index &+ 9) & 15] &+ s1
  }

  @inline(__always)
  private static func round(
    _ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: inout UInt32, _ e: UInt32, _ f: UInt32, _ g: UInt32,
    _ h: inout UInt32, _ input: UInt32
  ) {
    let s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    let choice = g ^ (e & (f ^ g))
    h &+= s1 &+ choice &+ input
    d &+= h
    let s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    let majority = (a & b) | (c & (a | b))
    h &+= s0 &+ majority
  }

  @inline(__always)
  private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word &>> count | word &<< (32 &- count) }

  // The fractional parts of the square roots of the first 8 primes and of the cube roots of the first 64.
  private static let initialState = State { fraction(of: primes[$0], root: 2) }
  private static let roundConstants: [UInt32] = primes.map { fraction(of: $0, root: 3) }

  private static let primes: [UInt64] = (2...311).filter { number in !(2..<number).contains { number % $0 == 0 } }

  /// The first 32 bits after the point of a number's square or cube root, by bisection in whole numbers.
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
