import SimulatedSystem

extension Platter {
  /// Which states a power cut can leave: all subsets of the changes with all combinations of directory entries, and torn pages.
  ///
  /// - Parameters:
  ///   - sample: how many states are taken if there are more than 2 to the power of `limit`.
  ///   - body: called for each state. Different choices can lead to the same state.
  func eachState(sample: Int, limit: Int, using generator: inout SeededNumbers, _ body: (State) throws -> Void)
    rethrows
  {
    guard uncertain <= limit else {
      for _ in 0..<sample { try body(random(using: &generator)) }
      return
    }
    let places = places
    for entries in combinations() {
      func take(_ keeps: (Int32, Int) -> [Range<Int>]) throws {
        try body(state(entry: { entries[$0] ?? $1[0] }, keeps: keeps))
      }
      func number(_ file: Int32, _ index: Int) -> Int { places.firstIndex { $0 == (file, index) } ?? 0 }
      for subset in 0..<(1 << places.count) {
        try take { subset >> number($0, $1) & 1 == 1 ? [whole($0, $1)] : [] }
      }
      // The files have their sizes already, but nothing is in them.
      try body(state(entry: { entries[$0] ?? $1[0] }, keepsSize: { _ in true }, keeps: { _, _ in [] }))
      // One page is torn: only its beginning, only its end, or one sector is missing or alone. The other pages are all there, or
      // only the earlier ones.
      for (torn, place) in places.enumerated() {
        let sectors = sectors(place.file, place.index)
        guard sectors.count > 1 else { continue }
        for left in Platter.partial(sectors) {
          for others in [0, 1] {
            try take { file, index in
              let number = number(file, index)
              if number == torn { return left }
              return others == 1 || number < torn ? [whole(file, index)] : []
            }
          }
        }
      }
    }
  }

  /// The ways in which a page of some sectors is torn.
  private static func partial(_ sectors: [Range<Int>]) -> [[Range<Int>]] {
    (1..<sectors.count).flatMap { [Array(sectors[..<$0]), Array(sectors[$0...])] }
      + sectors.indices.flatMap { index in
        [[sectors[index]], sectors.enumerated().filter { $0.offset != index }.map(\.element)]
      }
  }

  /// All combinations of directory entries.
  private func combinations() -> [[String: Int32?]] {
    entries.sorted { $0.key < $1.key }.reduce([[:]]) { combinations, entry in
      combinations.flatMap { combination in
        entry.value.map { file in
          var next = combination
          next.updateValue(file, forKey: entry.key)
          return next
        }
      }
    }
  }

  /// Any state.
  private func random(using generator: inout SeededNumbers) -> State {
    let odds = [0, 1, 4, 7, 8]
    var byFile: [Int32: (odds: Int, end: Int, isTorn: Bool, keepsSize: Bool)] = [:]
    for (file, content) in files.sorted(by: { $0.key < $1.key }) {
      // Up to some change all was written, of the rest a part.
      byFile[file] = (
        odds.randomElement(using: &generator) ?? 0, Int.random(in: 0...content.changes.count, using: &generator),
        Bool.random(using: &generator), Int.random(in: 0..<4, using: &generator) == 0
      )
    }
    return state(
      entry: { $1.randomElement(using: &generator) ?? $1[0] },
      keepsSize: { byFile[$0]?.keepsSize ?? false },
      keeps: { file, index in
        guard let dice = byFile[file] else { return [] }
        if index < dice.end, dice.odds != 4 { return [whole(file, index)] }
        let parts = dice.isTorn ? sectors(file, index) : [whole(file, index)]
        return parts.filter { _ in Int.random(in: 0..<8, using: &generator) < dice.odds }
      })
  }
}
