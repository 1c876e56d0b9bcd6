/// The name among `candidates` of which `name` is probably a misspelling; nil if there is none.
package func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
  let wanted = Array(name.lowercased().utf8)
  var best: (name: String, distance: Int)?
  for candidate in candidates {
    let letters = Array(candidate.lowercased().utf8)
    // A name that only lacks its end counts as near, however long the end is: Timeout for TimeoutSec.
    let isBeginning = wanted.count >= 4 && letters.starts(with: wanted)
    let isLonger = wanted.count >= 4 && wanted.starts(with: letters)
    let distance = isBeginning ? 1 : isLonger ? min(2, editDistance(wanted, letters)) : editDistance(wanted, letters)
    let last = best?.distance ?? Int.max
    let isShorter = distance == last && isBeginning && letters.count < best?.name.utf8.count ?? 0
    if distance < last || isShorter { best = (candidate, distance) }
  }
  guard let best, best.distance <= max(2, wanted.count / 3) else { return nil }
  return best.name
}

/// `; did you mean X?` if there is a nearest name, else an empty text.
package func suggestion(for name: String, among candidates: some Sequence<String>, suffix: String = "") -> String {
  nearestName(to: name, among: candidates).map { "; did you mean \($0)\(suffix)?" } ?? ""
}

/// The number of bytes that have to be inserted, removed, replaced or swapped with their neighbour.
private func editDistance(_ first: [UInt8], _ second: [UInt8]) -> Int {
  // The cost is the product of the lengths. Keys and unit names are short; what the user wrote may have any length.
  guard first.count <= 64, second.count <= 64 else { return .max }
  var rows = [Array(0...second.count)]
  for i in 1..<(first.count + 1) {
    var row = [i]
    for j in 1..<(second.count + 1) {
      var distance = min(rows[i - 1][j] + 1, row[j - 1] + 1)
      distance = min(distance, rows[i - 1][j - 1] + (first[i - 1] == second[j - 1] ? 0 : 1))
      if i > 1, j > 1, first[i - 1] == second[j - 2], first[i - 2] == second[j - 1] {
        distance = min(distance, rows[i - 2][j - 2] + 1)
      }
      row.append(distance)
    }
    rows.append(row)
  }
  return rows[first.count][second.count]
}

/// The unit among `units` of which `name`, which is not a unit, is probably a misspelling: the same name in another case, the
/// same name of another type, or a similar name of the same type; nil if there is none.
package func nearestUnit(to name: String, among units: some Sequence<String>) -> String? {
  let wanted = UnitName(name.lowercased())
  let units = units.sorted()
  if let same = units.first(where: { $0.lowercased() == wanted.text }) { return same }
  let stem = wanted.withoutSuffix
  // In the order of the types, so that a service comes before its socket.
  let twins = units.filter { UnitName($0.lowercased()).withoutSuffix == stem }
  if let twin = UnitName.suffixes.lazy.compactMap({ suffix in twins.first { UnitName($0).suffix == suffix } }).first {
    return twin
  }
  let type = units.filter { UnitName($0).suffix == wanted.suffix }
  let byStem = Dictionary(type.map { (UnitName($0).withoutSuffix, $0) }, uniquingKeysWith: { first, _ in first })
  guard let near = nearestName(to: stem, among: byStem.keys.sorted()) else { return nil }
  // In a short name, only one letter may be wrong.
  guard stem.count > 3 || abs(near.count - stem.count) <= 1 && near.lowercased().contains(stem.prefix(1)) else {
    return nil
  }
  return byStem[near]
}
