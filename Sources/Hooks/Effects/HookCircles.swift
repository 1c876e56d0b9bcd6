internal import Lifecycle
internal import Systemd

/// Hooks that drive each other in a circle, as far as their definitions show.
package struct HookCircles {
  /// A hook and what it is known to do.
  package struct Node: Sendable {
    package var hook: Hook
    package var effects: HookEffects

    package init(hook: Hook, effects: HookEffects) {
      self.hook = hook
      self.effects = effects
    }
  }

  /// One hook leads to another by what it does to a unit.
  private struct Edge: Hashable {
    var from: Int
    var to: Int
    var verb: HookEffects.Verb
    var unit: String
    /// Whether the unit can tell the event again without anything that brings it back before.
    var repeats: Bool
  }

  private let nodes: [Node]

  package init(_ nodes: [Node]) { self.nodes = nodes }

  /// The circles, each as the hooks' names in the order in which one leads to the next.
  package func find() -> [[String]] {
    var edges = Set(nodes.indices.flatMap { from in nodes.indices.flatMap { to in self.edges(from, to) } })
    // What goes down stays down until something starts it: a circle goes on only if it holds both halves.
    while true {
      let inCircles = edges.filter { isReachable($0.from, from: $0.to, edges) }
      let alive = inCircles.filter { edge in
        edge.repeats
          || inCircles.contains {
            $0.unit == edge.unit && $0.verb != edge.verb && isReachable($0.from, from: edge.to, inCircles)
          }
      }
      if alive == edges { break }
      edges = alive
    }
    var circles: [[String]] = []
    var seen: Set<Int> = []
    for start in nodes.indices where !seen.contains(start) {
      guard let path = shortestCircle(from: start, edges) else { continue }
      seen.formUnion(path)
      circles.append(path.map { nodes[$0].hook.name })
    }
    return circles
  }

  private func edges(_ from: Int, _ to: Int) -> [Edge] {
    let match = nodes[to].hook.definition.match
    let units = match.namedUnits
    return nodes[from].effects.effects.flatMap { effect -> [Edge] in
      // A pattern on both sides says too little to warn of.
      let touched = units.filter { unit in
        nodes[from].hook.definition.match.namedUnits.contains { effect.touches(unit, of: $0) }
          || effect.units?.matches(unit) == true
      }
      return touched.compactMap { unit in
        let kinds = effect.verb.events.filter { kind in
          match.matches(
            LifecycleEvent(
              id: "", kind: kind, unit: unit, restartJob: effect.verb == .restart, realtime: 0, monotonic: 0, boot: "",
              machine: ""))
        }
        guard !kinds.isEmpty else { return nil }
        let repeats = effect.verb == .restart || effect.verb == .reload || !kinds.isDisjoint(with: [.finished])
        return Edge(from: from, to: to, verb: effect.verb, unit: unit, repeats: repeats)
      }
    }
  }

  private func isReachable(_ goal: Int, from start: Int, _ edges: Set<Edge>) -> Bool {
    var reached: Set<Int> = [start]
    var open = [start]
    while let node = open.popLast() {
      if node == goal { return true }
      for edge in edges where edge.from == node && reached.insert(edge.to).inserted { open.append(edge.to) }
    }
    return false
  }

  private func shortestCircle(from start: Int, _ edges: Set<Edge>) -> [Int]? {
    var paths = [[start]]
    var reached: Set<Int> = []
    while !paths.isEmpty {
      var longer: [[Int]] = []
      for path in paths {
        for next in Set(edges.filter { $0.from == path[path.count - 1] }.map(\.to)).sorted() {
          if next == start { return path }
          if reached.insert(next).inserted { longer.append(path + [next]) }
        }
      }
      paths = longer
    }
    return nil
  }
}
