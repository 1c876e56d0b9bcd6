import ArgumentParser
import JournalHookCore
import JournalHookDaemon
import Systemd

/// `journalhook events`: the lifecycle events themselves.
struct Events: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what happened to units.",
    discussion: "The lifecycle events that hooks answer, out of the journal; no hook is run.")

  enum Format: String, ExpressibleByArgument, CaseIterable { case short, json }

  @Option(
    name: [.customShort("u"), .long],
    help: "Only units that this name or glob matches. May be given more than once.")
  var unit: [String] = []

  @Option(name: [.customShort("e"), .long], help: "Only events of this kind. May be given more than once.")
  var event: [String] = []

  @Option(name: [.customShort("n"), .long], help: "Only the last so many events.")
  var lines: Int?

  @Flag(name: [.customShort("f"), .long], help: "Go on with new events as they happen.")
  var follow = false

  @Option(
    name: [.customShort("S"), .long], parsing: .unconditional,
    help: "Begin at this time, as in systemd.time(7): \"18:00\", \"-2h\", \"yesterday\".")
  var since: String?

  @Option(name: [.customShort("U"), .long], parsing: .unconditional, help: "End at this time.")
  var until: String?

  @Option(name: [.customShort("o"), .long], help: "short or json (one object a line).")
  var output = Format.short

  @OptionGroup var source: SourceOptions

  func validate() throws {
    _ = try parseTime(since, option: "--since")
    _ = try parseTime(until, option: "--until")
    if follow, until != nil { throw ValidationError("--follow and --until exclude each other.") }
    if let lines, lines < 0 { throw ValidationError("--lines: '\(lines)' is not a number of events.") }
    for name in event where LifecycleEvent.Kind(rawValue: name) == nil {
      let known = LifecycleEvent.Kind.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--event: '\(name)' is no event. There are: \(known).")
    }
  }

  func run() throws {
    let filter = EventFilter(units: unit, kinds: event)
    var reader = try JournalAccess.open(source.selection)
    if let since = try parseTime(since, option: "--since") {
      try reader.seek(realtime: since.microseconds)
    } else {
      try reader.seekHead()
    }
    let end = try parseTime(until, option: "--until")?.microseconds ?? .max
    // As with journalctl: who follows wants to see what comes, after a little of what was.
    let limit = lines ?? (follow && since == nil ? 10 : nil)

    var last: [LifecycleEvent] = []
    while true {
      var batch = try reader.read(limit: 1024, until: end)
      // While following, what waits is told when its time has come.
      if batch.isAtEnd, !follow { batch.events += reader.flush(until: nil).events }
      for event in batch.events where filter.accepts(event) {
        guard let limit else {
          show(event)
          continue
        }
        last.append(event)
        if last.count > max(2 * limit, 1024) { last.removeFirst(last.count - limit) }
      }
      if batch.isAtEnd { break }
    }
    if let limit { last.suffix(limit).forEach(show) }
    if follow {
      let loop = try EventLoop()
      let tail = EventTail(loop: loop, reader: reader, isLocal: source.selection.isLocal) { event in
        if filter.accepts(event) { show(event) }
      }
      try tail.start()
      _ = try loop.run()
    }
  }

  private func show(_ event: LifecycleEvent) {
    Console.print(output == .json ? event.json.text : event.line)
  }
}

/// Which events a person wants to see.
struct EventFilter {
  private let units: [Glob]
  private let kinds: Set<LifecycleEvent.Kind>

  init(units: [String], kinds: [String]) {
    self.units = units.map { name in
      Glob(Glob.isPattern(name) || UnitName(name).suffix != nil ? name : name + ".service")
    }
    self.kinds = Set(kinds.compactMap(LifecycleEvent.Kind.init))
  }

  func accepts(_ event: LifecycleEvent) -> Bool {
    (kinds.isEmpty || kinds.contains(event.kind))
      && (units.isEmpty || units.contains { $0.matches(event.unit) })
  }
}
