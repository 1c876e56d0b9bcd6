import ArgumentParser
internal import EventReading
import Glibc
internal import JournalHookDaemon
internal import Lifecycle
internal import Systemd

/// `journalhook events`: the lifecycle events themselves.
struct Events: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Shows what happened to units.",
    discussion:
      "The lifecycle events that hooks answer, out of the journal; no hook is run. The options are journalctl's.")

  @Option(
    name: [.customShort("u", allowingJoined: true), .long],
    help: "Only units that this name or glob matches. May be given more than once.")
  var unit: [String] = []

  @Option(
    name: [.customShort("e", allowingJoined: true), .long],
    help: "Only events of this kind. May be given more than once.")
  var event: [String] = []

  @Option(
    name: [.customShort("n", allowingJoined: true), .long], defaultAsFlag: "10", parsing: .next,
    help: "Only the last so many events, or all.")
  var lines: String?

  @Flag(name: [.customShort("f"), .long], help: "Go on with new events as they happen.")
  var follow = false

  @Option(
    name: [.customShort("b", allowingJoined: true), .long], defaultAsFlag: "0", parsing: .next,
    help: ArgumentHelp(
      "Only one boot: the newest (0), the one before (-1), the oldest (1), or that of an id.", valueName: "id|offset"))
  var boot: String?

  @Flag(name: [.customShort("r"), .long], help: "The newest event first.")
  var reverse = false

  @Option(
    name: [.customShort("S", allowingJoined: true), .long], parsing: .unconditional,
    help: "Begin at this time, as in systemd.time(7): \"18:00\", \"-2h\", \"yesterday\".")
  var since: String?

  @Option(
    name: [.customShort("U", allowingJoined: true), .long], parsing: .unconditional, help: "End at this time.")
  var until: String?

  @Option(
    name: [.customShort("o", allowingJoined: true), .long],
    help: "short, short-iso, json (one object a line), json-pretty or cat (without time and host).")
  var output = EventFormat.short

  @Flag(name: .long, help: "Show times in UTC.")
  var utc = false

  @Flag(name: [.customShort("q"), .long], help: "Nothing but the events: no marks of boots, no \"no events\".")
  var quiet = false

  @Flag(name: .long, help: "On a terminal, do not page.")
  var noPager = false

  @OptionGroup var source: SourceOptions

  func validate() throws {
    try checkSpan(since: since, until: until)
    if follow, until != nil { throw ValidationError("--follow and --until exclude each other.") }
    if follow, reverse { throw ValidationError("--follow and --reverse exclude each other.") }
    if let lines, lines != "all", Int(lines).map({ $0 < 0 }) ?? true {
      throw ValidationError("--lines: '\(lines)' is not a number of events.")
    }
    if let boot, let choice = try? bootChoice(boot), follow, choice != .offset(0) {
      throw ValidationError("--follow needs the newest boot: it excludes --boot=\(boot).")
    }
    if let boot { _ = try bootChoice(boot) }
    for name in event where LifecycleEvent.Kind(rawValue: name) == nil {
      let known = LifecycleEvent.Kind.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--event: '\(name)' is no event. There are: \(known).")
    }
  }

  func run() throws {
    let filter = EventFilter(units: unit, kinds: event)
    var selection = source.selection
    selection.units = filter.exactUnits
    let readers = try JournalAccess.open(selection)
    var history = EventHistory(readers)
    history.since = try parseTime(since, option: "--since")?.microseconds ?? 0
    history.until = try parseTime(until, option: "--until")?.microseconds ?? .max
    history.boot = try boot.flatMap(bootChoice)
    history.isFollowed = follow
    history.accepts = filter.accepts
    if utc { unsafe setenv("TZ", "UTC", 1) }

    let printer = EventPrinter(format: output, isQuiet: quiet)
    let pager = follow || noPager ? nil : Pager()
    try show(history, printer)
    printer.finish(isFollowed: follow)
    pager?.wait()
    guard follow else { return }
    let loop = try EventLoop()
    let tail = try EventTail(loop: loop, readers: readers, warn: Console.warn) { event in
      guard filter.accepts(event) else { return }
      printer.print(event)
      printer.flush()
    }
    try tail.start()
    _ = try loop.run()
  }

  private func show(_ history: EventHistory, _ printer: EventPrinter) throws {
    // As with journalctl: who follows wants to see what comes, after a little of what was.
    let limit = lines.map { Int($0) } ?? (follow && since == nil ? 10 : nil)
    if reverse {
      var left = limit ?? .max
      guard left > 0 else { return }
      try history.backward { event in
        printer.print(event)
        left -= 1
        return left > 0
      }
    } else if let limit {
      try history.last(limit).forEach(printer.print)
    } else {
      try history.forward(printer.print)
    }
  }

  /// Reads `[ID][±offset]` or `all`, as journalctl does.
  private func bootChoice(_ text: String) throws -> EventHistory.BootChoice? {
    if text == "all" { return nil }
    if let offset = Int32(text) { return .offset(Int(offset)) }
    let id = text.prefix(32).lowercased()
    let rest = text.dropFirst(32)
    guard id.utf8.count == 32, id.allSatisfy(\.isHexDigit), let offset = rest.isEmpty ? 0 : Int32(rest) else {
      throw ValidationError("--boot: '\(text)' is neither a boot id nor an offset.")
    }
    return .id(id, offset: Int(offset))
  }
}

/// Which events a person wants to see.
struct EventFilter {
  private let units: [Glob]
  private let kinds: Set<LifecycleEvent.Kind>
  /// The units by name, if all of them are names: then nothing else need be read.
  let exactUnits: [String]

  init(units: [String], kinds: [String]) {
    let names = units.map { Glob.isPattern($0) || UnitName($0).suffix != nil ? $0 : $0 + ".service" }
    self.units = names.map { Glob($0) }
    exactUnits = names.contains(where: Glob.isPattern) ? [] : names
    self.kinds = Set(kinds.compactMap(LifecycleEvent.Kind.init))
  }

  func accepts(_ event: LifecycleEvent) -> Bool {
    (kinds.isEmpty || kinds.contains(event.kind))
      && (units.isEmpty || units.contains { $0.matches(event.unit) })
  }
}
