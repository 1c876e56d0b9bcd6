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
  private var hookWatcher: FolderWatcher?
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
  private var witness: BusWitness
  /// Whether the last look has read all there was.
  private var isAtEnd = false
  /// Errors at one place of the journal.
  private var failuresInARow = 0
  /// Where reading began, in microseconds since 1970: the place to go back to as long as nothing was read.
  private var startTime: UInt64 = 0
  private var reportedDiagnostics: Set<Diagnostic> = []

  private static let owner = "follow"
  /// Entries read in one turn, so that processes and timers are answered in between.
  private static let batchSize = 256
  /// As long as so many runs wait, nothing more is read: the journal is the queue.
  private static let pauseThreshold = 1000
  /// How long the runs under way have to end at SIGTERM, in microseconds.
  static let drainTime: UInt64 = 120_000_000
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
    witness = BusWitness(
      machine: try Id128.machine(), boot: try Id128.boot(), hostname: hostName(), since: Clock.monotonic())
    planner = RunPlanner(hooks: hooks, boot: try Id128.boot())
    readers = try JournalAccess.open(options.selection)
    let containment = Containment.establish()
    if case .processTrees(let reason) = containment {
      reporter.say(
        "Runs are not held in cgroups but found by their process tree: \(reason).", .trouble, priority: .notice)
    }
    executor = RunExecutor(
      owner: Follower.owner, loop: loop, ledger: ledger, hooks: hooks, reporter: reporter, containment: containment,
      jobs: options.jobs, boot: options.selection.isLocal ? try Id128.boot() : nil)
  }

  // MARK: Starting

  /// Begins; everything else happens while the loop runs.
  package func start() throws {
    // Blocked before anything is spawned; a child's end is told by its pidfd.
    EventLoop.block([SIGCHLD, SIGPIPE])
    raiseDescriptorLimit()
    sources.append(try loop.watch(signal: SIGTERM) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGINT) { [unowned self] in drain() })
    sources.append(try loop.watch(signal: SIGHUP) { [unowned self] in reloadHooks(isAsked: true) })
    if ServiceNotifier.watchdogInterval() != nil { try loop.sendWatchdogNotifications() }

    hookWatcher = FolderWatcher(loop: loop) { [unowned self] in reloadHooks(isAsked: false) }
    loadHooks()
    try recoverFromCrash(ledger, owner: Follower.owner, reporter)
    try place()

    executor.onProgress = { [unowned self] in progress() }
    let watch = JournalWatch(loop: loop, manager: options.selection.manager) { [unowned self] in look() }
    self.watch = watch
    try watchJournal()
    watch.onUnitChange = { [unowned self] in note($0) }
    watch.onShutdown = { [unowned self] in executor.systemGoesDown($0) }
    if options.selection.isLocal { watch.listenToManager() }
    watchFolders()
    ServiceNotifier.ready(status: status)
    // In the loop's first turn, behind READY.
    moreTimer = try loop.schedule { [unowned self] in
      moreTimer = nil
      loadStoredRuns()
      look()
    }
  }

  /// Two or three descriptors a run: the soft limit of 1024 is for programs that use select(2); hooks get it back.
  private func raiseDescriptorLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  private var status: String { "Following the journal, \(hooks.hooks.count) hooks." }

  /// Finds the place in the journal to go on from.
  private func place() throws {
    startTime = Clock.now().microseconds
    if let since = options.since {
      for reader in readers.all {
        // Written down at once: a restart before the first entry must not go back to where an earlier one was.
        try ledger.begin(reader: reader.name, machine: reader.machine, at: since)
        try reader.seek(realtime: since)
      }
      reporter.say("Following the journal from \(Timestamp(microseconds: since)) on.", .following, priority: .info)
    } else if try ledger.position(of: readers.name) != nil {
      for reader in readers.all { try resume(reader) }
    } else {
      // Written down even where there is nothing yet: what comes then is not to be skipped by a later start.
      try ledger.save(cursor: "@\(startTime)", of: readers.name)
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
    switch try ledger.position(of: reader.name) {
    case .behind(let cursor):
      let tracker = try ledger.tracker(of: reader.machine)
      if try reader.resume(after: cursor, tracker: tracker) == .lost { reportGap(after: cursor) }
      let machine = options.selection.isLocal ? "" : " of machine \(reader.machine)"
      reporter.say(
        "Following the journal\(machine) from where it was left, \(Timestamp(microseconds: cursor.realtime)).",
        .following, priority: .info)
    case .from(let time): try reader.seek(realtime: time)
    case nil: break
    }
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
    // Watched before they are read, so that no change falls in between; what links lead to is known only afterwards.
    var failure = hookWatcher?.watch(contentsOf: hooks.directories, linked: hooks.linkedFolders)
    let linked = hooks.linkedFolders
    var isComplete = hooks.load()
    if hooks.linkedFolders != linked {
      failure = hookWatcher?.watch(contentsOf: hooks.directories, linked: hooks.linkedFolders)
      isComplete = hooks.load()
    }
    hookTimer = nil
    if !isComplete {
      hookTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
        reloadHooks(isAsked: false)
      }
    }
    let diagnostics = Set(hooks.diagnostics)
    defer { reportedDiagnostics = diagnostics }
    for diagnostic in hooks.diagnostics where !reportedDiagnostics.contains(diagnostic) {
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
  private var hookTimer: EventSource?

  private func reloadHooks(isAsked: Bool) {
    if isAsked { ServiceNotifier.reloading(monotonic: Clock.monotonic()) }
    loadHooks()
    if isAsked { ServiceNotifier.ready(status: status) } else { ServiceNotifier.status(status) }
  }

  // MARK: Reading

  /// Reads what there is, and writes down what it leads to.
  private func look() {
    guard !isDraining, uncommitted.isEmpty, reopenTimer == nil else { return }
    do {
      // Files are let go of only when all that they hold was read: deleted ones can be read as long as they are open.
      var isChanged = true
      while isChanged {
        isAtEnd = false
        for reader in readers.all {
          guard try read(reader) else { return }
        }
        isAtEnd = true
        let change = try readers.process()
        for reader in change.new { try resume(reader) }
        isChanged = change.isChanged
      }
      endCatchUp()
      scheduleFlush()
    } catch {
      reopen(after: error)
    }
  }

  /// Reads a machine's journal to its end; false when that has to wait, for room or for a turn of the others.
  private func read(_ reader: EventReader) throws -> Bool {
    failingReader = reader
    guard canRead else { return false }
    try reader.refresh()
    while canRead {
      let batch = try reader.read(limit: Follower.batchSize)
      if !batch.isEmpty {
        failuresInARow = 0
        uncommitted.append((batch, reader))
        guard commit() else { return false }
      }
      if batch.isAtEnd { return true }
      if isCatchingUp {
        lookAgain()
        return false
      }
    }
    return false
  }
  /// The reader that was read last: whose entry it is that cannot be read.
  private var failingReader: EventReader?

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
          again: options.again && isCatchingUp,
          now: Clock.now().microseconds)
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
    needsRelease = true
    endBacklog()
  }

  /// The runs that waited for the end of the backlog may begin.
  private func endBacklog() {
    do {
      try ledger.releaseHeld(owner: Follower.owner)
      needsRelease = false
    } catch {
      reporter.say("\(error).", .trouble, priority: .error)
    }
    hasStoredRuns = true
    lastStoredRun = 0
    loadStoredRuns()
  }
  private var needsRelease = false

  /// An event that waits for its job's last message is told without it when that has not come in time.
  private func scheduleFlush() {
    guard flushTimer == nil, !isDraining, readers.isWaiting else { return }
    flushTimer = try? loop.schedule(at: loop.now() + LifecycleTracker.patience) { [unowned self] in
      flushTimer = nil
      look()
      // Behind the journal's end the clock tells nothing about entries that are there and were not read yet.
      guard isAtEnd, uncommitted.isEmpty else { return }
      let now = options.selection.isLocal ? Clock.monotonic() : nil
      for reader in readers.all where reader.isWaiting {
        uncommitted.append((reader.flush(until: now), reader))
      }
      _ = commit()
      scheduleFlush()
    }
  }

  /// What the manager tells on the bus is left to the journal to explain; what it has not in time becomes an event.
  private func note(_ change: UnitChange) {
    witness.note(
      change, of: options.selection.manager, now: Clock.monotonic(), realtime: Clock.now().microseconds)
    if witness.isWaiting { scheduleWitness() }
  }

  private func scheduleWitness() {
    guard witnessTimer == nil, !isDraining else { return }
    witnessTimer = try? loop.schedule(at: loop.now() + BusWitness.patience, accuracy: 50_000) { [unowned self] in
      witnessTimer = nil
      look()
      if isAtEnd, uncommitted.isEmpty, let reader = readers.all.first {
        let batch = reader.take(witness.unexplained(by: reader.tracker, now: Clock.monotonic()))
        if !batch.isEmpty {
          uncommitted.append((batch, reader))
          _ = commit()
        }
      }
      if witness.isWaiting { scheduleWitness() }
    }
  }
  private var witnessTimer: EventSource?

  /// A journal that cannot be read further is opened anew: after a vacuum, a file may be gone under the reader.
  private func reopen(after error: any Error) {
    failuresInARow += 1
    reporter.say("\(error). The journal is opened again.", .trouble, priority: .warning)
    reopen(in: Follower.retryInterval)
  }

  private func reopen(in delay: UInt64) {
    watch?.forgetJournal()
    reopenTimer = try? loop.schedule(at: loop.now() + delay) { [unowned self] in
      reopenTimer = nil
      do {
        for reader in try readers.reopen() {
          if let cursor = reader.cursor { reportGap(after: cursor) }
        }
        if failuresInARow >= Follower.failureLimit {
          failingReader?.skipEntry()
          failuresInARow = 0
          reporter.say("An entry of the journal cannot be read and is passed over.", .gap, priority: .error)
        }
        try watchJournal()
        look()
      } catch {
        reopen(after: error)
      }
    }
  }

  /// How often an entry is tried.
  private static let failureLimit = 5

  /// libsystemd notices new files, but not folders of files that come or go after it has opened the journal, as when
  /// /var/log/journal is made for a journal that shall last.
  private func watchFolders() {
    guard options.selection.isLocal, let machine = try? Id128.machine() else { return }
    let folders = ["/run/log/journal/\(machine)", "/var/log/journal/\(machine)"]
    if folderWatcher == nil {
      folderWatcher = FolderWatcher(loop: loop) { [unowned self] in
        watchFolders()
        if reopenTimer == nil { reopen(in: 0) }
      }
    }
    if let error = folderWatcher?.watch(existenceOf: folders) {
      reporter.say(
        "A journal folder that is made or removed would not be noticed: \(error).", .trouble, priority: .warning)
    }
  }
  private var folderWatcher: FolderWatcher?

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
      reporter.say("\(error). Trying again.", .trouble, priority: .error)
      moreTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
        moreTimer = nil
        if isCatchingUp || !needsRelease { loadStoredRuns() } else { endBacklog() }
        look()
      }
    }
  }

  private func progress() {
    if isDraining {
      if executor.isQuiet { loop.exit(0) }
      return
    }
    if executor.waitingCount < Follower.pauseThreshold / 2 {
      if hasStoredRuns { loadStoredRuns() }
      lookAgain()
    }
  }

  // MARK: Ending

  /// Starts no more runs, and ends when those under way have ended: within two minutes, or at once when asked again.
  private func drain() {
    if isDraining { return cutOff() }
    isDraining = true
    ServiceNotifier.stopping(status: "Waiting for the runs under way.")
    executor.drain()
    if executor.isQuiet { return loop.exit(0) }
    drainTimer = try? loop.schedule(at: loop.now() + Follower.drainTime) { [unowned self] in cutOff() }
  }

  /// Ends the runs under way. What then still hinders ending is left to the next start, which knows how to deal with it.
  private func cutOff() {
    executor.interruptAll()
    if executor.isQuiet { return loop.exit(0) }
    drainTimer = try? loop.schedule(at: loop.now() + Follower.cutOffTime) { [unowned self] in
      reporter.say(
        "Ending although runs are under way or could not be written down; the next start deals with them.", .trouble,
        priority: .error)
      loop.exit(1)
    }
  }

  /// How long runs that are cut off have to end, in microseconds: with the drain less than TimeoutStopSec= of the service.
  private static let cutOffTime: UInt64 = 30_000_000
  private var drainTimer: EventSource?
}

/// This machine's name, as journald writes it.
private func hostName() -> String? {
  var buffer = [CChar](repeating: 0, count: 256)
  guard unsafe gethostname(&buffer, buffer.count - 1) == 0 else { return nil }
  return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
