internal import Lifecycle
internal import Systemd

/// Finds loops of hooks, in which each hook causes the event for which the next one runs, as far as this can be seen in their
/// definitions.
package struct HookLoops {
  /// A hook and its known actions on units.
  package struct Node: Sendable {
    /// The hook.
    package var hook: Hook
    /// Its actions on units.
    package var effects: HookEffects

    package init(hook: Hook, effects: HookEffects) {
      self.hook = hook
      self.effects = effects
    }
  }

  /// An action of one hook on a unit that causes an event for which another hook runs.
  private struct Edge: Hashable {
    var from: Int
    var to: Int
    var verb: HookEffects.Verb
    var unit: String
    /// Whether the event can occur again for the unit without another action that first reverses this one.
    var repeats: Bool
  }

  private let nodes: [Node]

  package init(_ nodes: [Node]) { self.nodes = nodes }

  /// The loops. Each is a list of hook names, in the order in which one hook causes the run of the next.
  package func find() -> [[String]] {
    var edges = Set(nodes.indices.flatMap { from in nodes.indices.flatMap { to in self.edges(from, to) } })
    // A unit that was stopped stays stopped until something starts it. So a loop goes on only if it contains both actions.
    while true {
      let inLoops = edges.filter { isReachable($0.from, from: $0.to, edges) }
      let recurring = inLoops.filter { edge in
        edge.repeats
          || inLoops.contains {
            $0.unit == edge.unit && $0.verb != edge.verb && isReachable($0.from, from: edge.to, inLoops)
          }
      }
      if recurring == edges { break }
      edges = recurring
    }
    var loops: [[String]] = []
    var seen: Set<Int> = []
    for start in nodes.indices where !seen.contains(start) {
      guard let path = shortestLoop(from: start, edges) else { continue }
      seen.formUnion(path)
      loops.append(path.map { nodes[$0].hook.name })
    }
    return loops
  }

  private func edges(_ from: Int, _ to: Int) -> [Edge] {
    let match = nodes[to].hook.definition.match
    let units = match.namedUnits
    return nodes[from].effects.effects.flatMap { effect -> [Edge] in
      // If both hooks have patterns, it is not certain enough that they match the same units.
      let affected = units.filter { unit in
        nodes[from].hook.definition.match.namedUnits.contains { effect.affects(unit, inRunFor: $0) }
          || effect.units?.matches(unit) == true
      }
      return affected.compactMap { unit in
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

  private func shortestLoop(from start: Int, _ edges: Set<Edge>) -> [Int]? {
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
