internal import SimulatedSystem
internal import Systemd

/// Tells what has happened to one unit: the messages, in the notation of the tracker's tests, what was true, and what was told.
struct StoryPrinter {
  private let world: World
  private let unit: String
  private var names: [String: String] = [:]

  init(_ world: World, unit: String) {
    self.world = world
    self.unit = unit
  }

  /// The first unit that a complaint names.
  static func unit(in complaint: String, of world: World) -> String? {
    complaint.split(whereSeparator: { " ,:".contains($0) }).map(String.init)
      .first { world.manager.status(of: $0) != nil }
  }

  /// The story, line by line.
  static func lines(_ world: World, unit: String) -> [String] {
    var printer = StoryPrinter(world, unit: unit)
    return printer.lines()
  }

  private mutating func lines() -> [String] {
    var lines: [(boot: String, time: UInt64, rank: Int, text: String)] = []
    for message in world.journald.all where message.unit == unit {
      lines.append((message.boot, message.monotonic, lines.count, "  " + words(of: message)))
    }
    for fact in world.manager.facts where fact.unit == unit || fact.kind == .booted {
      var words = ["# \(fact.kind.rawValue)", "inv=\(name(fact.invocation))"]
      if fact.restartJob != false { words.append("restartJob=\(fact.restartJob.map(String.init) ?? "?")") }
      if fact.autoRestart != false { words.append("autoRestart=\(fact.autoRestart.map(String.init) ?? "?")") }
      if fact.isRestarted != false { words.append("restarted=\(fact.isRestarted.map(String.init) ?? "?")") }
      if !fact.wasLogged { words.append("(not logged)") }
      lines.append((fact.boot, fact.monotonic, lines.count, words.joined(separator: " ")))
    }
    let boots = world.manager.facts.filter { $0.kind == .booted }.map(\.boot)
    func place(_ boot: String) -> Int { boots.firstIndex(of: boot) ?? -1 }
    lines.sort { (place($0.boot), $0.time, $0.rank) < (place($1.boot), $1.time, $1.rank) }
    var told = lines.map { "\(place($0.boot)) \($0.time) \($0.text)" }
    for run in world.ledgerRuns() where run.event.unit == unit && run.hook == HookSet.all.name {
      var words = ["  →", "run \(run.id)", run.event.kind, "inv=\(name(run.event.invocation))"]
      if let flag = run.event.restartJob { words.append("restart_job=\(flag)") }
      if let flag = run.event.autoRestart { words.append("auto_restart=\(flag)") }
      if run.event.source != "journal" { words.append(run.event.source) }
      told.append("\(place(run.event.boot)) \(run.monotonic) " + words.joined(separator: " "))
    }
    return told
  }

  /// A message in one line.
  private mutating func words(of message: SentEntry) -> String {
    func value(_ field: String) -> String? { message.fields.first { $0.name == field }?.text }
    var words = [StoryPrinter.kinds[value("MESSAGE_ID") ?? ""] ?? "-", "inv=\(name(value("INVOCATION_ID")))"]
    if let job = value("JOB_TYPE") {
      words.append(
        "job=" + [value("JOB_ID") ?? "0", job, value("JOB_RESULT")].compactMap(\.self).joined(separator: "/"))
    }
    if let result = value("UNIT_RESULT") { words.append("ur=\(result)") }
    words.append("\"\(value("MESSAGE") ?? "")\"")
    if world.journald.lost.contains(where: { $0.number == message.number }) { words.append("(lost)") }
    return words.joined(separator: " ")
  }

  /// A short name for an invocation.
  private mutating func name(_ invocation: String?) -> String {
    guard let invocation, !invocation.isEmpty else { return "-" }
    if let name = names[invocation] { return name }
    let name = String(UnicodeScalar(UInt8(97 + names.count % 26))) + (names.count < 26 ? "" : "\(names.count / 26)")
    names[invocation] = name
    return name
  }

  /// The kinds of messages by MESSAGE_ID (systemd's sd-messages.h).
  private static let kinds = [
    "7d4958e842da4a758f6c1cdc7b36dcc5": "STARTING", "39f53479d3a045ac8e11786248231fbf": "STARTED",
    "be02cf6855d2428ba40df7e9d022f03d": "FAILED", "de5b426a63be47a7b6ac3eaac82e2f6f": "STOPPING",
    "9d1aaa27d60140bd96365438aad20286": "STOPPED", "d34d037fff1847e6ae669a370e694725": "RELOADING",
    "7b05ebc668384222baa8881179cfda54": "RELOADED", "7ad2d189f7e94e70a38c781354912448": "SUCCESS",
    "d9b373ed55a64feb8242e02dbe79a49c": "FAILURE", "98e322203f7a4ed290d09fe03c09fe15": "EXIT",
    "5eb03494b6584870a536b337290809b3": "SCHEDULED", "fe6faa94e7774663a0da52717891d8ef": "OOM",
  ]
}
