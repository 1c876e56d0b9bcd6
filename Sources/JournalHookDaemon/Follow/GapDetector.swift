internal import EventReading
internal import Hooks
internal import Lifecycle
internal import RunLedger
internal import Systemd

/// Finds out what the journal does not have any more, or never had; writes it down, and says so once.
final class GapDetector {
  private let ledger: Ledger
  private let reporter: Reporter
  private let timers: any Timers
  private let boot: CurrentBoot
  /// The reader of this machine's journal, where that is read.
  private let local: EventReader?
  private var journald: JournaldGaps
  private var files: JournalFilesWatch?
  private var lateTimer: Timer?
  /// What is still to be written down, and whether the first of it was reported already.
  private var unwritten: [Ledger.NotedGap] = []
  private var isReported = false
  /// Called when something may have been missed, which the live state shows.
  var onGap: () -> Void = {}
  /// Called when `isOpen` may have changed.
  var onChange: () -> Void = {}

  init(
    ledger: Ledger, reporter: Reporter, timers: any Timers, boot: CurrentBoot, local: EventReader?,
    selection: JournalSelection
  ) {
    self.ledger = ledger
    self.reporter = reporter
    self.timers = timers
    self.boot = boot
    self.local = local
    journald = JournaldGaps(boot: boot)
    if let local, selection.manager == .system, selection.journal == .system,
      local.host.hasJournalDirectories
    {
      files = JournalFilesWatch(machine: local.machine, now: timers.realtime, cursor: local.cursor)
    }
  }

  /// Whether entries may be missing right now, as while journald is away.
  var isOpen: Bool { journald.isOpen || files?.isRemoved == true }

  /// Reports a gap, and has what may have been missed looked for.
  func report(_ gap: Gap, of reader: EventReader) {
    unwritten.append(.init(reader: reader.name, machine: reader.machine, gap: gap, noticed: timers.realtime))
    write()
    onGap()
  }

  /// Writes down gaps and reports them, each once; what the ledger refuses is tried again with the next commit.
  func write() {
    while let noted = unwritten.first {
      do {
        let isNew = try ledger.note(noted)
        unwritten.removeFirst()
        let machine = local == nil ? " (machine \(noted.machine))" : ""
        if isNew { reporter.say(noted.gap.text + machine, .gap, priority: .warning) }
      } catch {
        // It is reported all the same, as there may be no later chance.
        if !isReported { reporter.say("\(noted.gap.text) (\(error).)", .gap, priority: .warning) }
        isReported = true
        return
      }
      isReported = false
    }
  }

  /// The entry that was read last is gone.
  ///
  /// - Parameter isStarting: whether following begins with it.
  func judge(_ place: LostPlace, of reader: EventReader, isStarting: Bool = false) throws {
    let known = try ledger.machine(ofBoot: place.cursor.boot)
    let isForeign = local != nil && known != nil && known != reader.machine
    let meaning = place.meaning(isForeign: isForeign, boot: local == nil ? nil : boot.id, now: timers.realtime)
    let last = Timestamp(microseconds: place.cursor.realtime)
    switch meaning {
    case .nothing:
      reporter.say(
        "Following the journal from where it was left, \(last): that entry is gone, but none after it is missing.",
        .following, priority: .info)
    case .endOfBoot:
      reporter.say(
        "The journal has ended with its boot, since it is kept in /run: what happened between \(last) and the end of that boot is "
          + "not known. Storage=persistent in journald.conf(5) keeps it.", .following, priority: .notice)
    case .gap(var gap):
      // Such a place does not show when it was written; the runs do, unless they are of the future, too.
      if gap.kind == .futureCursor, let last = try ledger.lastRunTime(until: gap.until) { gap.since = last }
      report(gap, of: reader)
      if isStarting {
        let next = place.next.map { Timestamp(microseconds: $0.realtime).description } ?? "its end"
        reporter.say("Following the journal from \(next).", .following, priority: .info)
      }
    }
  }

  // MARK: journald

  /// Takes note of what journald has said of itself.
  func hear(_ batch: EventReader.Batch, of reader: EventReader) {
    for notice in batch.notices {
      switch journald.note(notice.message, at: notice.at, before: notice.before) {
      case .gap(let gap): report(gap, of: reader)
      case .mayBeMissing: onGap()
      case nil: break
      }
      if journald.isLate {
        lateTimer = timers.call(in: JournaldGaps.lateTime, accuracy: 50_000) { [unowned self] in endLate(reader) }
      }
    }
    if !batch.notices.isEmpty { onChange() }
  }

  private func endLate(_ reader: EventReader) {
    lateTimer = nil
    if let gap = journald.endLate() { report(gap, of: reader) }
    onChange()
  }

  // MARK: Files

  /// Journal files may have come or gone.
  func checkFiles() {
    guard let local else { return }
    for gap in files?.check(now: timers.realtime) ?? [] { report(gap, of: local) }
    onChange()
  }

  /// The journal was read to its end.
  ///
  /// - Parameter isFirst: for the first time: files may have been given up on the way.
  func reachedEnd(isFirst: Bool) {
    guard let local else { return }
    if isFirst, let gap = files?.givenUp() { report(gap, of: local) }
    files?.reachedEnd(at: local.cursor, now: timers.realtime)
  }

  /// The files that are read were opened again.
  func reopened() { files?.noteOpen() }
}
