/// Says which events must have come out, and which may not have: by what really happened, and by the contract with the users
/// (journalhook-events(7)) alone.
package struct Oracle {
  /// What a reader could not read.
  package struct Lost {
    /// Its numbers.
    package var messages: Set<Int> = []
    /// What the messages were about: unit, a space, invocation.
    package var invocations: Set<String> = []

    package init() {}

    package mutating func insert(_ entry: SentEntry) {
      messages.insert(entry.number)
      if let unit = entry.unit { invocations.insert("\(unit) \(entry.invocation ?? "")") }
    }
  }

  /// A unit in a boot, with what happened to it and what was told of it.
  struct Life {
    var unit: String
    var boot: String
    var facts: [TrueFact] = []
    var events: [SeenEvent] = []
    /// Another boot has followed, so that nothing can be open any more.
    var isOver = false
  }

  /// Compares.
  ///
  /// - Parameters:
  ///   - facts: what happened, in the order of time.
  ///   - events: what a reader has told, in its order.
  ///   - lost: what the reader could not read. About the invocations around it less is demanded.
  ///   - isOrdered: whether the events of a unit are in the order of time. A replay beside follow may tell some before others.
  /// - Returns: complaints; none if all is well.
  package static func judge(_ facts: [TrueFact], events: [SeenEvent], lost: Lost = Lost(), isOrdered: Bool = true)
    -> [String]
  {
    var complaints: [String] = []
    var ids: Set<String> = []
    for event in events where !ids.insert(event.id).inserted { complaints.append("told twice: \(event.text)") }

    // The order in a dictionary must not matter: the lives stand in the order of their first facts.
    var lives: [Life] = []
    var places: [String: Int] = [:]
    var boots: [String] = []
    func place(_ unit: String, _ boot: String) -> Int {
      let key = "\(unit) \(boot)"
      if let place = places[key] { return place }
      places[key] = lives.count
      lives.append(Life(unit: unit, boot: boot))
      return lives.count - 1
    }
    for fact in facts {
      if fact.kind == .booted { boots.append(fact.boot) } else { lives[place(fact.unit, fact.boot)].facts.append(fact) }
    }
    var newest = 0
    for event in events {
      guard let boot = boots.firstIndex(of: event.boot) else {
        complaints.append("of a boot that never was: \(event.text)")
        continue
      }
      if boot < newest { complaints.append("of an earlier boot than the one before it: \(event.text)") }
      newest = max(newest, boot)
      lives[place(event.unit, event.boot)].events.append(event)
    }
    for index in lives.indices {
      lives[index].isOver = lives[index].boot != boots.last
      var judge = LifeJudge(lives[index], lost: lost, isOrdered: isOrdered)
      complaints += judge.judge()
    }
    return complaints
  }
}

extension SeenEvent {
  /// The event in words.
  var text: String {
    var words = [unit, kind]
    if let invocation { words.append(String(invocation.prefix(6))) }
    if let restartJob { words.append(restartJob ? "restart_job" : "no restart_job") }
    if autoRestart == true { words.append("auto_restart") }
    if source != "journal" { words.append(source) }
    return words.joined(separator: " ")
  }
}
