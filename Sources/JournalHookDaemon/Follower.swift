internal import Glibc
internal import JournalHookCore
package import Systemd

/// What `journalhook follow` is asked to do.
package struct FollowOptions: Sendable {
  package var selection: JournalSelection
  package var stateDirectory: String
  package var hookDirectories: [String]
  /// Where to start instead of the saved cursor, in microseconds since 1970.
  package var since: UInt64?
  /// Runs that the ledger has as done are done again.
  package var again = false
  package var jobs = 64

  package init(selection: JournalSelection, stateDirectory: String, hookDirectories: [String]) {
    self.selection = selection
    self.stateDirectory = stateDirectory
    self.hookDirectories = hookDirectories
  }
}

/// Follows the journal and answers its events: the daemon.
///
/// Everything happens on the event loop's thread: entries become events, events become runs in the ledger, and the executor
/// does the runs.
package actor Follower {
  private nonisolated let loop: EventLoop
  private let options: FollowOptions
  private let lock: LedgerLock
  private let ledger: Ledger
  private let hooks: HookStore
  private let reporter: Reporter
  private let executor: RunExecutor
  private let planner: RunPlanner
  private let readers: EventReaders
  private var watch: JournalWatch?
  private var hookWatcher: HookWatcher?
  private var sources: [EventSource] = []
  private var flushTimer: EventSource?
  private var moreTimer: EventSource?
  private var reopenTimer: EventSource?
  /// What was read and could not be written down yet; nothing more is read meanwhile.
  private var uncommitted: [(batch: EventReader.Batch, reader: EventReader)] = []
  /// Until the end of the journal was reached for the first time.
  private var isCatchingUp = true
  /// Whether the ledger may hold runs to be done that the executor has not been given.
  private var hasStoredRuns = true
  private var lastStoredRun: Int64 = 0
  private var isDraining = false

  private static let owner = "follow"
  /// Entries read in one turn, so that processes and timers are answered in between.
  private static let batchSize = 256
  /// As long as so many runs wait, nothing more is read: the journal is the queue.
  private static let pauseThreshold = 1000
  /// How long the runs under way have to end at SIGTERM, in microseconds.
  private static let drainTime: UInt64 = 120_000_000
  private static let retryInterval: UInt64 = 1_000_000

  package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

  /// Opens everything that following needs, and writes down what a crash has interrupted.
  package init(_ options: FollowOptions, loop: EventLoop, reporter: sending Reporter) throws {
    self.loop = loop
    self.options = options
    self.reporter = reporter
    ledger = try Ledger(stateDirectory: options.stateDirectory)
    lock = try LedgerLock(stateDirectory: options.stateDirectory)
    hooks = HookStore(directories: options.hookDirectories, requiresHost: !options.selection.isLocal)
    planner = RunPlanner(hooks: hooks, boot: try Id128.boot())
    readers = try JournalAccess.open(options.selection)
    let containment = Containment.establish()
    if case .processTrees(let reason) = containment {
      reporter.say(
        "Runs are not held in cgroups but found by their process tree: \(reason).", .trouble, priority: .notice)
    }
    executor = RunExecutor(
      owner: Follower.owner, loop: loop, ledger: ledger, hooks: hooks, reporter: reporter, containment: containment,
      jobs: options.jobs)
  }

  // MARK: Starting

  /// Begins; everything else happens while the loop runs.
  package func start() throws {
    // Blocked before anything is spawned; a child's end is told by its pidfd.
    EventLoop.block([SIGCHLD, SIGPIPE])
    sources.append(try loop.watch(signal: SIGTERM) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGINT) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGHUP) { [unowned self] in reloadHooks(isAsked: true) })
    if ServiceNotifier.watchdogInterval() != nil { try loop.sendWatchdogNotifications() }

    hookWatcher = HookWatcher(loop: loop) { [unowned self] in reloadHooks(isAsked: false) }
    loadHooks()
    try recoverFromCrash(ledger, owner: Follower.owner, reporter)
    try place()

    executor.onProgress = { [unowned self] in progress() }
    let watch = JournalWatch(loop: loop, manager: options.selection.manager) { [unowned self] in look() }
    self.watch = watch
    try watchJournal()
    if options.selection.isLocal { watch.listenToManager() }
    ServiceNotifier.ready(status: status)
    // In the loop's first turn, behind READY.
    moreTimer = try loop.schedule { [unowned self] in
      moreTimer = nil
      loadStoredRuns()
      look()
    }
  }

  private var status: String { "Following the journal, \(hooks.hooks.count) hooks." }

  /// Finds the place in the journal to go on from.
  private func place() throws {
    if let since = options.since {
      try ledger.forgetTracker()
      for reader in readers.all { try reader.seek(realtime: since) }
      reporter.say("Following the journal from \(Timestamp(microseconds: since)) on.", .following, priority: .info)
    } else if try ledger.cursor(of: readers.name) != nil {
      for reader in readers.all { try resume(reader) }
    } else {
      // Written down even where there is nothing yet: what comes then is not to be skipped by a later start.
      try ledger.save(cursor: "", of: readers.name)
      for reader in readers.all {
        if let end = try reader.seekEnd() { try ledger.save(cursor: end.description, of: reader.name) }
      }
      reporter.say(
        "Following the journal for the first time: from its end on. Earlier events can be had by --since.", .following,
        priority: .info)
    }
  }

  /// Goes on where a reader was left; a machine that is new is read from its first entry on.
  private func resume(_ reader: EventReader) throws {
    guard let saved = try ledger.cursor(of: reader.name).flatMap(JournalCursor.init) else { return }
    let tracker = try ledger.tracker(of: reader.machine)
    if try reader.resume(after: saved, tracker: tracker) == .lost { reportGap(after: saved) }
    let machine = options.selection.isLocal ? "" : " of machine \(reader.machine)"
    reporter.say(
      "Following the journal\(machine) from where it was left, \(Timestamp(microseconds: saved.realtime)).", .following,
      priority: .info)
  }

  private func reportGap(after cursor: JournalCursor) {
    reporter.say(
      "The journal no longer has the entry that was read last, of \(Timestamp(microseconds: cursor.realtime)): events "
        + "between then and the oldest entry that is left may be missing. Following from the next entry on.",
      .gap, priority: .warning)
  }

  private func watchJournal() throws(SystemError) {
    try watch?.watch(journal: readers.fileDescriptor(), isReliable: readers.isReliable)
  }

  // MARK: Hooks

  private func loadHooks() {
    let known = Set(hooks.diagnostics)
    // Watched before they are read, so that no change falls in between; what links lead to is known only afterwards.
    var failure = hookWatcher?.watch(hooks.directories, linked: hooks.linkedFolders)
    let linked = hooks.linkedFolders
    hooks.load()
    if hooks.linkedFolders != linked {
      failure = hookWatcher?.watch(hooks.directories, linked: hooks.linkedFolders)
      hooks.load()
    }
    for diagnostic in hooks.diagnostics where !known.contains(diagnostic) {
      reporter.say("\(diagnostic)", .hookProblem, priority: diagnostic.severity == .error ? .error : .warning)
    }
    if let failure, !isPollingHooks {
      isPollingHooks = true
      reporter.say(
        "The hook directories are looked at every second: \(failure). Raise fs.inotify.max_user_instances.", .trouble,
        priority: .warning)
    }
  }
  private var isPollingHooks = false

  private func reloadHooks(isAsked: Bool) {
    if isAsked { ServiceNotifier.reloading(monotonic: Clock.monotonic()) }
    loadHooks()
    if isAsked { ServiceNotifier.ready(status: status) } else { ServiceNotifier.status(status) }
  }

  // MARK: Reading

  /// Reads what there is, and writes down what it leads to.
  private func look() {
    guard !isDraining, uncommitted.isEmpty else { return }
    do {
      for reader in try readers.process() { try resume(reader) }
      for reader in readers.all where canRead {
        let batch = try reader.read(limit: Follower.batchSize)
        if !batch.isEmpty {
          uncommitted.append((batch, reader))
          guard commit() else { return }
        }
        if !batch.isAtEnd {
          lookAgain()
          return scheduleFlush()
        }
      }
      if canRead { endCatchUp() }
      scheduleFlush()
    } catch {
      reopen(after: error)
    }
  }

  /// Whether there is room for more runs; if not, the executor says when there is.
  private var canRead: Bool { executor.waitingCount < Follower.pauseThreshold && !hasStoredRuns }

  private func lookAgain() {
    guard moreTimer == nil else { return }
    moreTimer = try? loop.schedule { [unowned self] in
      moreTimer = nil
      look()
    }
  }

  /// Writes down what was read; false when the ledger refuses, and it is tried again later.
  private func commit() -> Bool {
    while let (batch, reader) = uncommitted.first {
      let planned = planner.plan(batch.events, of: readers)
      do {
        let runs = try ledger.commit(
          planned, events: batch.events, cursor: batch.cursor, reader: reader.name, changes: batch.changes,
          tracker: reader.tracker, owner: Follower.owner, isCatchingUp: isCatchingUp,
          again: options.again && isCatchingUp, now: Clock.now().microseconds)
        uncommitted.removeFirst()
        if reporter.hasTerminal { batch.events.forEach(reporter.event) }
        for run in planned where run.state.isFinal {
          reporter.dropped(run)
        }
        executor.add(runs)
      } catch {
        reporter.say("\(error). Nothing more is read until it can be written.", .trouble, priority: .error)
        moreTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
          moreTimer = nil
          if commit() { look() }
        }
        return false
      }
    }
    return true
  }

  private func endCatchUp() {
    guard isCatchingUp else { return }
    isCatchingUp = false
    planner.isCatchingUp = false
    do { try ledger.releaseHeld(owner: Follower.owner) } catch {
      reporter.say("\(error).", .trouble, priority: .error)
    }
    hasStoredRuns = true
    lastStoredRun = 0
    loadStoredRuns()
  }

  /// An event that waits for its job's last message is told without it when that has not come in time.
  private func scheduleFlush() {
    guard flushTimer == nil, readers.isWaiting else { return }
    flushTimer = try? loop.schedule(at: loop.now() + LifecycleTracker.patience) { [unowned self] in
      flushTimer = nil
      look()
      guard uncommitted.isEmpty else { return }
      let now = options.selection.isLocal ? Clock.monotonic() : nil
      for reader in readers.all where reader.isWaiting {
        uncommitted.append((reader.flush(until: now), reader))
      }
      _ = commit()
      scheduleFlush()
    }
  }

  /// A journal that cannot be read further is opened anew: after a vacuum, a file may be gone under the reader.
  private func reopen(after error: any Error) {
    reporter.say("\(error). The journal is opened again.", .trouble, priority: .warning)
    watch?.forgetJournal()
    reopenTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
      reopenTimer = nil
      do {
        for reader in try readers.reopen() {
          if let cursor = reader.cursor { reportGap(after: cursor) }
        }
        try watchJournal()
        look()
      } catch {
        reopen(after: error)
      }
    }
  }

  // MARK: Runs

  /// Gives the executor runs that wait in the ledger: those of an earlier process, and those that were held.
  private func loadStoredRuns() {
    guard hasStoredRuns else { return }
    do {
      let room = Follower.pauseThreshold
      while executor.waitingCount < room {
        let runs = try ledger.openRuns(owner: Follower.owner, after: lastStoredRun, limit: room)
        executor.add(runs)
        lastStoredRun = runs.last?.id ?? lastStoredRun
        if runs.count < room {
          hasStoredRuns = false
          break
        }
      }
    } catch {
      reporter.say("\(error).", .trouble, priority: .error)
    }
  }

  private func progress() {
    if isDraining {
      if executor.isQuiet { end() }
      return
    }
    if executor.waitingCount < Follower.pauseThreshold / 2 {
      if hasStoredRuns { loadStoredRuns() }
      lookAgain()
    }
  }

  // MARK: Ending

  /// Starts no more runs, and ends when those under way have ended.
  private func drain() {
    guard !isDraining else { return }
    isDraining = true
    ServiceNotifier.stopping(status: "Waiting for the runs under way.")
    executor.drain()
    if executor.isQuiet { return end() }
    flushTimer = try? loop.schedule(at: loop.now() + Follower.drainTime) { [unowned self] in executor.interruptAll() }
  }

  private func end() { loop.exit(0) }
}
