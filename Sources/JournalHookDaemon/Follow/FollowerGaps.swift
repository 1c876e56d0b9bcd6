internal import EventReading
internal import Hooks
internal import Lifecycle
internal import RunLedger
internal import Systemd

/// What the journal does not have any more, or never had.
extension Follower {
  /// Tells of a gap, and has what may have been missed looked for.
  func report(_ gap: Gap, of reader: EventReader) {
    let noted = Ledger.NotedGap(
      reader: reader.name, machine: reader.machine, gap: gap, noticed: Clock.now().microseconds)
    unwrittenGaps.append(noted)
    writeGaps()
    reconciler?.request()
  }

  /// Writes down gaps and tells them, each once; what the ledger refuses is tried again with the next commit.
  func writeGaps() {
    while let noted = unwrittenGaps.first {
      do {
        let isNew = try ledger.note(noted)
        unwrittenGaps.removeFirst()
        let machine = options.selection.isLocal ? "" : " (machine \(noted.machine))"
        if isNew { reporter.say(noted.gap.text + machine, .gap, priority: .warning) }
      } catch {
        // It is told even so: nobody may learn of it later.
        if !isGapTold { reporter.say("\(noted.gap.text) (\(error).)", .gap, priority: .warning) }
        isGapTold = true
        return
      }
      isGapTold = false
    }
  }

  /// The entry that was read last is gone.
  ///
  /// - Parameter isStarting: whether following begins with it.
  func judge(_ place: LostPlace, of reader: EventReader, isStarting: Bool = false) throws {
    let known = try ledger.machine(ofBoot: place.cursor.boot)
    let isForeign = options.selection.isLocal && known != nil && known != reader.machine
    let meaning = place.meaning(
      isForeign: isForeign, boot: options.selection.isLocal ? boot.id : nil, now: Clock.now().microseconds)
    switch meaning {
    case .nothing:
      reporter.say(
        "Following the journal from where it was left, \(Timestamp(microseconds: place.cursor.realtime)): that entry is gone, "
          + "but none is missing behind it.", .following, priority: .info)
    case .endOfBoot:
      reporter.say(
        "The journal has ended with its boot, since it is kept in /run: what happened behind "
          + "\(Timestamp(microseconds: place.cursor.realtime)) until that boot's end is not known. Storage=persistent in "
          + "journald.conf(5) keeps it.", .following, priority: .notice)
    case .gap(var gap):
      // Such a place does not tell when it was written; the runs do, unless they are of the future, too.
      if gap.kind == .futureCursor, let last = try ledger.lastRunTime(until: gap.until) { gap.since = last }
      report(gap, of: reader)
      if isStarting {
        let next = place.next.map { Timestamp(microseconds: $0.realtime).description } ?? "its end"
        reporter.say("Following the journal from \(next) on.", .following, priority: .info)
      }
    }
  }

  // MARK: journald

  /// Takes note of what journald has told of itself.
  func hear(_ batch: EventReader.Batch, of reader: EventReader) {
    for (message, here, before) in batch.notices {
      // What was lost in another boot is no more to be found; and journald begins with each boot.
      guard !boot.isLater(than: here.boot, here.monotonic) else { continue }
      switch message {
      case .stopped: journaldStop = here.realtime
      case .started:
        let stop = journaldStop ?? before?.realtime
        journaldStop = nil
        guard let stop, let before, !boot.isLater(than: before.boot, before.monotonic), boot.userspace > 0,
          before.monotonic >= boot.userspace
        else { continue }
        report(Gap(.journaldAway, since: stop, until: here.realtime, detail: "It has begun anew."), of: reader)
      case .late(let delay):
        let sent = here.realtime - delay
        lateSince = min(lateSince ?? sent, sent)
        lateUntil = here.realtime
        scheduleLate()
      case .suppressed(let count):
        let detail = count.map { "\($0) messages were dropped." }
        report(
          Gap(.rateLimited, since: before?.realtime ?? here.realtime, until: here.realtime, detail: detail), of: reader)
      case .missedKernelMessages: reconciler?.request()
      }
      updateStatus()
    }
  }

  /// Entries that came late come together, and make one gap.
  private func scheduleLate() {
    lateTimer = try? loop.schedule(at: loop.now() + Follower.lateTime, accuracy: 50_000) { [unowned self] in endLate() }
  }

  private func endLate() {
    lateTimer = nil
    guard let since = lateSince, let reader = readers.all.first else { return }
    lateSince = nil
    report(Gap(.journaldAway, since: since, until: lateUntil, detail: "It took them later."), of: reader)
    updateStatus()
  }

  // MARK: Removed files

  /// Journal files may have come or gone. Tells if one was removed while journald wrote to it: what it writes from then on, until
  /// it notices, nobody can read.
  func checkFiles() {
    guard let activeFiles, let reader = readers.all.first else { return }
    let now = Clock.now().microseconds
    if activeFiles.isRemoved(), removedSince == nil { removedSince = lastLook ?? now }
    lastLook = now
    if let since = removedSince, activeFiles.isThere {
      removedSince = nil
      report(Gap(.deleted, since: since, until: now), of: reader)
    }
    updateStatus()
  }

  /// Tells if a file was given up as damaged before it was read to its end.
  ///
  /// - Parameter before: where the reader was when it was last asked.
  func checkDamage(since before: JournalCursor?) {
    guard let activeFiles, let reader = readers.all.first, let end = activeFiles.givenUp() else { return }
    let since = before?.realtime ?? startTime
    // What is behind the reader already was read before it was damaged.
    if end > since { report(Gap(.corrupt, since: since, until: end), of: reader) }
  }

  // MARK: Keeping the place

  /// The journal's ends now: once all before them was read, they can be kept as the places to go on from.
  func ends() -> [(reader: EventReader, end: JournalCursor)] {
    guard options.selection.isLocal else { return [] }
    return readers.all.compactMap { reader in
      guard let end = try? reader.end() else { return nil }
      return (reader, end)
    }
  }

  /// All before these ends was read. Where the manager had nothing to say since its last entry, that one may be gone soon.
  func keep(_ ends: [(reader: EventReader, end: JournalCursor)]) {
    guard isAtEnd, uncommitted.isEmpty else { return }
    for (reader, end) in ends where reader.moveOn(to: end) {
      try? ledger.begin([.init(reader: reader.name, at: .behind(end))])
    }
  }
}
