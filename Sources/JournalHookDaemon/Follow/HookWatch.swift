internal import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import RunLedger
internal import Runs
internal import Systemd
internal import TrustedFiles

/// The hook files and journalhook.conf, as they change.
final class HookWatch {
  private let hooks: HookStore
  private let configuration: ConfigurationStore
  private let reporter: Reporter
  private let timers: any Timers
  private var watcher: DirectoryWatcher?
  private var reported: Set<Diagnostic> = []
  private var isPolling = false
  private var timer: Timer?
  /// Why the hooks cannot be read as they are now, and since when, in microseconds since boot.
  private var unreadable: (error: TrustError, since: UInt64)?
  /// What was loaded last.
  private(set) var inventory: HookInventory?
  /// What was loaded when another process looked last.
  private let earlier: () -> HookInventory?
  /// Called when something may have changed, to have it loaded by `load()`.
  var onChange: () -> Void = {}
  /// Called when the configuration was read.
  var onConfiguration: (Configuration) -> Void = { _ in }
  /// Called when other hooks are loaded than before.
  var onInventory: (HookInventory) -> Void = { _ in }

  /// How soon what could not be read is tried again, in microseconds.
  private static let retryInterval: UInt64 = 1_000_000
  /// How long events wait for hooks that have changed and cannot be read, in microseconds; then they are matched to the hooks as
  /// they were before. At the start, where there were none, they wait for ever.
  private static let patience: UInt64 = 10_000_000

  init(
    _ hooks: HookStore, _ configuration: ConfigurationStore, reporter: Reporter, host: any DaemonHost,
    earlier: @escaping () -> HookInventory?
  ) {
    self.hooks = hooks
    self.configuration = configuration
    self.reporter = reporter
    timers = host.timers
    self.earlier = earlier
    watcher = host.hookWatcher { [unowned self] in onChange() }
    hooks.onLoadWhileOpening = { [unowned self] in
      // What a run has come across is to be reported, and watched, like what a change has brought.
      timer = timers.callSoon { [unowned self] in onChange() }
    }
  }

  /// Whether the hooks were read completely once: before that nothing may be read from the journal.
  var areRead: Bool { inventory != nil }

  /// Whether events may be matched to the hooks: not before they were read as they are now, unless that takes too long.
  var mayMatch: Bool {
    guard let unreadable else { return areRead }
    return areRead && timers.monotonic >= unreadable.since + HookWatch.patience
  }

  /// Whether something has changed until now that `onChange` was not called for yet. Whoever asks loads it.
  func takeChange() -> Bool { watcher?.takeChange() == true }

  /// Adds what `systemctl status` shows of hooks.
  func describe(in status: inout FollowStatus) {
    status.hooks = inventory?.items.count ?? 0
    status.unusable = hooks.entries.count { $0.loaded == nil && $0.status != .masked }
    status.unreadable = unreadable.map { "\($0.error)" }
    status.isWaiting = !areRead
  }

  /// Reads the hooks and the configuration. What cannot be read now stays as it was, and is read again in a second.
  func load() {
    // Watched before they are read, so that no change falls in between; what links lead to is known only afterwards.
    var failure = watch()
    timer = nil
    var isComplete = false
    do throws(TrustError) {
      let (links, refused) = (self.links, hooks.refusedPaths)
      try loadFiles()
      if self.links != links || hooks.refusedPaths != refused {
        failure = watch()
        try loadFiles()
      }
      isComplete = true
      note(unreadable: nil)
    } catch {
      note(unreadable: error)
      timer = timers.call(in: HookWatch.retryInterval) { [unowned self] in onChange() }
    }
    let diagnostics = configuration.diagnostics + hooks.diagnostics
    for diagnostic in diagnostics where !reported.contains(diagnostic) {
      reporter.say("\(diagnostic)", .hookProblem, priority: diagnostic.severity == .error ? .error : .warning)
    }
    reported = Set(diagnostics)
    if isComplete { reportChanges() }
    if let failure, !isPolling {
      isPolling = true
      reporter.say(
        "The hook directories cannot be watched, and are read every second instead: \(failure). \(failure.watchRemedy)",
        .trouble, priority: .warning)
    }
  }

  private func loadFiles() throws(TrustError) {
    try configuration.load()
    hooks.defaultTimeout = configuration.configuration.defaultTimeout
    onConfiguration(configuration.configuration)
    try hooks.load()
  }

  private var links: Set<String> { hooks.links.union(configuration.links) }

  private func watch() -> SystemError? {
    watcher?.watch(
      contentsOf: hooks.directories + configuration.dropInDirectories, links: links,
      files: configuration.paths + hooks.refusedPaths.sorted())
  }

  /// Reports once that the hooks cannot be read, and once that they were read again.
  private func note(unreadable error: TrustError?) {
    let before = unreadable
    unreadable = error.map { ($0, before?.since ?? timers.monotonic) }
    if let error, before == nil {
      let meanwhile =
        areRead
        ? "Events wait up to \(TimeSpan(microseconds: HookWatch.patience)) for them; then the hooks count as they were read last."
        : "Nothing is read from the journal before that."
      reporter.say(
        "The hooks cannot be read now: \(error). It is tried again every second. \(meanwhile)", .trouble,
        priority: .error)
    } else if error == nil, before != nil {
      reporter.say("The hooks can be read again.", .trouble, priority: .notice)
    }
  }

  /// Reports what has changed since the last time, or since the last process; and lets `list` know what is loaded.
  private func reportChanges() {
    let isFirst = inventory == nil
    let now = hooks.inventory
    let before = inventory ?? earlier() ?? HookInventory()
    inventory = now
    for change in now.changes(since: before) {
      let text =
        switch change {
        case .loaded(let name, let path): "Hook \(name) is loaded: \(path)."
        case .changed(let name, let path): "Hook \(name) has changed: \(path)."
        case .removed(let name, let path): "Hook \(name) is no longer loaded: \(whereabouts(of: name, path))"
        }
      reporter.say(text.printable, .hookLoaded, priority: .info)
    }
    if isFirst { reporter.say("\(FollowStatus.count(now.items.count)) loaded.", .hookLoaded, priority: .info) }
    if now != before { onInventory(now) }
  }

  /// What has become of the file of a hook that is not loaded any more.
  private func whereabouts(of name: String, _ path: String) -> String {
    if let entry = hooks.entries.first(where: { $0.name == name }) {
      return entry.status == .masked ? "\(entry.path) masks it." : "\(entry.path) cannot be used."
    }
    guard unsafe access(path + ".disabled", F_OK) == 0 else { return "\(path) is gone." }
    return "\(path).disabled is ignored. A link to /dev/null switches a hook off in whichever directory it lies: "
      + "ln -s /dev/null /etc/journalhook/hooks.d/\(path.split(separator: "/").last ?? "")"
  }
}
