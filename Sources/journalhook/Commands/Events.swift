import ArgumentParser
internal import EventReading
import Glibc
internal import JournalHookDaemon
internal import Lifecycle
internal import Systemd

/// `journalhook events`: shows the lifecycle events.
struct Events: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Shows the lifecycle events in the journal. No hook is run.",
    discussion: "These are the events that hooks match. The options mean the same as those of journalctl.")

  @Option(
    name: [.customShort("u", allowingJoined: true), .long],
    help: "Only units that match this name or glob. Can be given more than once.")
  var unit: [String] = []

  @Option(
    name: [.customShort("e", allowingJoined: true), .long],
    help: "Only events of this kind. Can be given more than once.")
  var event: [String] = []

  @Option(
    name: [.customShort("n", allowingJoined: true), .long], defaultAsFlag: "10", parsing: .next,
    help: "Only the last N events, or all.")
  var lines: String?

  @Flag(name: [.customShort("f"), .long], help: "Continue with new events as they happen.")
  var follow = false

  @Option(
    name: [.customShort("b", allowingJoined: true), .long], defaultAsFlag: "0", parsing: .next,
    help: ArgumentHelp(
      "Only one boot: the newest (0), the one before it (-1), the oldest (1), or the boot with an id.",
      valueName: "id|offset"))
  var boot: String?

  @Flag(name: [.customShort("r"), .long], help: "Show the newest event first.")
  var reverse = false

  @Option(
    name: [.customShort("S", allowingJoined: true), .long], parsing: .unconditional,
    help: "Start at this time, as in systemd.time(7): \"18:00\", \"-2h\", \"yesterday\".")
  var since: String?

  @Option(
    name: [.customShort("U", allowingJoined: true), .long], parsing: .unconditional, help: "End at this time.")
  var until: String?

  @Option(
    name: [.customShort("o", allowingJoined: true), .long],
    help: "short, short-iso, json (one object per line), json-pretty, or cat (without time and host).")
  var output = EventFormat.short

  @Flag(name: .long, help: "Show times in UTC.")
  var utc = false

  @Flag(name: [.customShort("q"), .long], help: "Do not show boot marks or \"no events\".")
  var quiet = false

  @Flag(name: .long, help: "Do not use a pager.")
  var noPager = false

  @OptionGroup var source: SourceOptions

  func validate() throws {
    try checkSpan(since: since, until: until)
    if follow, until != nil { throw ValidationError("--follow and --until cannot be used together.") }
    if follow, reverse { throw ValidationError("--follow and --reverse cannot be used together.") }
    if let lines, lines != "all", Int(lines).map({ $0 < 0 }) ?? true {
      throw ValidationError("--lines: '\(lines)' is not a number of events.")
    }
    if let boot, let choice = try? bootChoice(boot), follow, choice != .offset(0) {
      throw ValidationError("--follow shows the newest boot: --boot=\(boot) cannot be used with it.")
    }
    if let boot { _ = try bootChoice(boot) }
    for name in event where LifecycleEvent.Kind(rawValue: name) == nil {
      let known = LifecycleEvent.Kind.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--event: there is no event '\(name)'. Events: \(known).")
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
    // journalctl --follow shows the last 10 entries first, too.
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

/// Selects events by the options --unit and --event.
struct EventFilter {
  private let units: [Glob]
  private let kinds: Set<LifecycleEvent.Kind>
  /// The names of the units, if none of them is a glob: then only the entries of these units are read. Empty otherwise.
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
