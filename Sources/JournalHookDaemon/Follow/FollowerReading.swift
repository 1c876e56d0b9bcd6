internal import EventReading
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import RunLedger
internal import Runs
internal import Systemd

/// From the journal to the ledger.
extension Follower {
  /// Reads what there is, and writes down what it leads to.
  func look() {
    // Whoever resumes is whoever gets to the journal's end.
    guard hasBegun, !isDraining, uncommitted.isEmpty, reopenTimer == nil else { return watch?.pause() ?? () }
    guard unmatched.isEmpty, canMatch else {
      isAtEnd = false
      return watch?.pause() ?? ()
    }
    do {
      // Files are let go of only when all that they hold was read: deleted ones can be read as long as they are open.
      var isChanged = true
      var ends: [(reader: EventReader, end: JournalCursor)] = []
      while isChanged {
        isAtEnd = false
        for reader in readers.all {
          guard try read(reader) else { return watch?.pause() ?? () }
        }
        isAtEnd = true
        keep(ends)
        let change = try readers.process()
        if change.isChanged {
          ends = self.ends()
          checkDamage(since: before)
          checkFiles()
        } else if lastLook != nil {
          lastLook = Clock.now().microseconds
        }
        for reader in change.new { try resume(reader) }
        if !change.new.isEmpty { checkWatches() }
        isChanged = change.isChanged
      }
      if isCatchingUp { checkDamage(since: before) }
      endCatchUp()
      before = readers.all.first?.cursor
      scheduleFlush()
      executor.scheduleDue()
      watch?.resume()
    } catch {
      reopen(after: error)
    }
  }

  /// Reads a machine's journal to its end; false when that has to wait, for room or for a turn of the others.
  func read(_ reader: EventReader) throws -> Bool {
    failingReader = reader
    guard canRead else { return false }
    try reader.refresh()
    while canRead {
      let batch = try reader.read(limit: Follower.batchSize)
      if !batch.isEmpty {
        failuresInARow = 0
        hear(batch, of: reader)
        guard take(batch, from: reader) else { return false }
      }
      if batch.isAtEnd { return true }
      if isCatchingUp {
        lookAgain()
        return false
      }
    }
    return false
  }

  /// Whether there is room for more runs; if not, the executor says when there is.
  var canRead: Bool { executor.waitingCount < Follower.pauseThreshold && !hasStoredRuns }

  func lookAgain() {
    guard moreTimer == nil else { return }
    moreTimer = try? loop.schedule { [unowned self] in
      moreTimer = nil
      look()
    }
  }

  /// Decides what comes of a batch, and writes it down; false when that has to wait.
  func take(_ batch: EventReader.Batch, from reader: EventReader) -> Bool {
    var step = Ledger.Step(planned: [], events: batch.events)
    step.cursor = batch.cursor
    step.reader = reader.name
    step.changes = batch.changes
    step.tracker = reader.tracker
    step.isCatchingUp = isCatchingUp
    step.again = options.again && isCatchingUp
    unmatched.append(step)
    return match()
  }

  /// Decides which runs the events that were read lead to, and writes them down; false when that has to wait.
  ///
  /// An event counts for the hooks that were on disk when it happened: what inotify has told until now is read before.
  func match() -> Bool {
    if unmatched.contains(where: { !$0.events.isEmpty }), hookWatcher?.takeChange() == true {
      reloadHooks(isAsked: false)
    }
    guard canMatch else {
      isAtEnd = false
      return false
    }
    for var step in unmatched {
      step.planned = planner.plan(step.events, of: readers)
      step.rateLimits = planner.limiter.takeChanges()
      uncommitted.append(step)
    }
    unmatched = []
    return commit()
  }

  /// Writes down what was read; false when the ledger refuses, and it is tried again later.
  func commit() -> Bool {
    while let step = uncommitted.first {
      do {
        let commit = try ledger.commit(step, owner: RunOwner.follow, now: Clock.now().microseconds)
        uncommitted.removeFirst()
        noteLedger(error: nil)
        if let cursor = step.cursor.flatMap(JournalCursor.init) { committedTimes[step.reader] = cursor.realtime + 1 }
        retention.noteRecorded(step.planned.count)
        if reporter.hasTerminal { step.events.forEach(reporter.event) }
        for run in step.planned where run.state.isFinal {
          reporter.dropped(run)
        }
        executor.supersede(commit.superseded)
        executor.add(commit.runs)
        if !commit.others.isEmpty { awaitOthers() }
        if commit.waiting > 0 {
          executor.hasWaiting = true
          executor.scheduleDue()
        }
        if step.planned.contains(where: { $0.rateLimitedInstead != nil }) { reportDropped() }
        if !unwrittenGaps.isEmpty { writeGaps() }
      } catch {
        noteLedger(error: error)
        retryLater()
        return false
      }
    }
    return true
  }

  /// Tries again all that the ledger has refused, in its order: whichever part failed last must not make another forgotten.
  func retryLater() {
    moreTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
      moreTimer = nil
      guard commit() else { return }
      if needsRelease { endBacklog() } else { loadStoredRuns() }
      look()
    }
  }

  /// Tells once that the ledger refuses, and once that it does so no longer.
  func noteLedger(error: (any Error)?) {
    if let error, !isLedgerRefusing {
      reporter.say("\(error). Nothing more is read until it can be written.", .trouble, priority: .error)
    } else if error == nil, isLedgerRefusing {
      reporter.say("The ledger can be written again.", .trouble, priority: .notice)
    }
    isLedgerRefusing = error != nil
    updateStatus()
  }

  func endCatchUp() {
    guard isCatchingUp else { return }
    isCatchingUp = false
    planner.isCatchingUp = false
    needsRelease = true
    endBacklog()
    reconciler?.request()
  }

  /// The runs that waited for the end of the backlog may begin.
  func endBacklog() {
    do {
      try ledger.releaseHeld(owner: RunOwner.follow)
      needsRelease = false
      reportDropped()
      // Some of them may have to settle, too.
      executor.hasWaiting = true
      executor.scheduleDue()
    } catch {
      noteLedger(error: error)
      return retryLater()
    }
    hasStoredRuns = true
    lastStoredRun = 0
    loadStoredRuns()
  }

  /// An event that waits for its job's last message is told without it when that has not come in time.
  func scheduleFlush() {
    guard flushTimer == nil, !isDraining, readers.isWaiting else { return }
    flushTimer = try? loop.schedule(at: loop.now() + LifecycleTracker.patience) { [unowned self] in
      flushTimer = nil
      look()
      // Behind the journal's end the clock tells nothing about entries that are there and were not read yet.
      guard isAtEnd, uncommitted.isEmpty else { return }
      let now = options.selection.isLocal ? Clock.monotonic() : nil
      for reader in readers.all where reader.isWaiting { _ = take(reader.flush(until: now), from: reader) }
      scheduleFlush()
    }
  }

  /// What the manager tells on the bus is left to the journal to explain; what it has not in time becomes an event.
  func note(_ change: UnitChange) {
    readers.all.first?.note(change)
    scheduleWitness()
  }

  func scheduleWitness() {
    guard witnessTimer == nil, !isDraining, let due = readers.all.first?.nextUnexplained else { return }
    // Not at once even if it is overdue: what is in the way, a full queue say, may last.
    let time = max(due, loop.now() + Follower.shortestWitnessDelay)
    witnessTimer = try? loop.schedule(at: time, accuracy: 50_000) { [unowned self] in
      witnessTimer = nil
      look()
      if isAtEnd, uncommitted.isEmpty, let reader = readers.all.first {
        let batch = reader.takeUnexplained()
        if !batch.isEmpty { _ = take(batch, from: reader) }
      }
      scheduleWitness()
    }
  }

  static let shortestWitnessDelay: UInt64 = 50_000

  /// A journal that cannot be read further is opened anew: after a vacuum, a file may be gone under the reader.
  func reopen(after error: any Error) {
    failuresInARow += 1
    reporter.say("\(error). The journal is opened again.", .trouble, priority: .warning)
    reopen(in: Follower.retryInterval)
  }

  /// A new machine may have a directory of its own, for which there is no watch.
  private func checkWatches() {
    guard !isPollingJournal else { return }
    do throws(SystemError) { try readers.checkWatches() } catch { try? pollJournal(error) }
  }

  func reopen(in delay: UInt64) {
    watch?.forgetJournal()
    reopenTimer = try? loop.schedule(at: loop.now() + delay) { [unowned self] in
      reopenTimer = nil
      do {
        for (reader, place) in try readers.reopen() { try judge(place, of: reader) }
        if failuresInARow >= Follower.failureLimit, let reader = failingReader {
          let before = reader.cursor
          reader.skipEntry()
          failuresInARow = 0
          let now = Clock.now().microseconds
          report(
            Gap(
              .corrupt, since: before?.realtime ?? now, until: reader.cursor?.realtime ?? now,
              detail: "An entry that cannot be read is passed over."), of: reader)
        }
        activeFiles?.noteOpen()
        try watchJournal()
        look()
      } catch {
        reopen(after: error)
      }
    }
  }

  /// libsystemd notices new files, but not folders of files that come or go after it has opened the journal, as when
  /// /var/log/journal is made for a journal that shall last.
  func watchFolders() {
    guard options.selection.isLocal, let machine = try? Id128.machine() else { return }
    let folders = ["/run/log/journal/\(machine)", "/var/log/journal/\(machine)"]
    if activeFiles == nil, options.selection.manager == .system, options.selection.journal == .system {
      activeFiles = ActiveJournalFiles(machine: machine)
      activeFiles?.noteOpen()
      before = readers.all.first?.cursor
      lastLook = Clock.now().microseconds
    }
    if folderWatcher == nil {
      folderWatcher = FolderWatcher(loop: loop) { [unowned self] in
        watchFolders()
        if reopenTimer == nil { reopen(in: 0) }
      }
    }
    if let error = folderWatcher?.watch(existenceOf: folders) {
      reporter.sayOnce(
        "Journal directories cannot be watched, and are looked for every second instead: \(error). \(error.watchRemedy)",
        .trouble, priority: .warning)
    }
  }
}
