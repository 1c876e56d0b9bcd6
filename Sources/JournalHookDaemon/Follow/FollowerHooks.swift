internal import EventReading
internal import Glibc
internal import HookFiles
internal import Hooks
internal import RunLedger
internal import Runs
internal import Systemd
internal import TrustedFiles

/// The hook files and the configuration, as they change.
extension Follower {
  /// Reads the hooks and the configuration. What cannot be read now stays as it was, and is read again in a second.
  func loadHooks() {
    // Watched before they are read, so that no change falls in between; what links lead to is known only afterwards.
    var failure = watchFiles()
    hookTimer = nil
    do throws(TrustError) {
      let (links, refused) = (self.links, hooks.refusedPaths)
      try loadFiles()
      if self.links != links || hooks.refusedPaths != refused {
        failure = watchFiles()
        try loadFiles()
      }
      areHooksRead = true
      noteUnreadable(nil)
    } catch {
      noteUnreadable(error)
      hookTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in hooksChanged() }
    }
    let diagnostics = configuration.diagnostics + hooks.diagnostics
    defer { reportedDiagnostics = Set(diagnostics) }
    for diagnostic in diagnostics where !reportedDiagnostics.contains(diagnostic) {
      reporter.say("\(diagnostic)", .hookProblem, priority: diagnostic.severity == .error ? .error : .warning)
    }
    if unreadable == nil { tellChanges() }
    if let failure, !isPollingHooks {
      isPollingHooks = true
      reporter.say(
        "The hook directories cannot be watched, and are read every second instead: \(failure). \(failure.watchRemedy)",
        .trouble, priority: .warning)
    }
  }

  /// Tells what has changed since the last time, or since the last process; and lets `list` know what is loaded.
  private func tellChanges() {
    let isFirst = inventory == nil
    let now = hooks.inventory
    let before = inventory ?? (try? ledger.loadedHooks()) ?? HookInventory()
    inventory = now
    unusable = hooks.entries.count { $0.loaded == nil && $0.status != .masked }
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
    if now != before { executor.write { [ledger] in try ledger.note(now) } }
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

  private func loadFiles() throws(TrustError) {
    try loadConfiguration()
    try hooks.load()
  }

  /// Reports once that the hooks cannot be read, and once that they were read again.
  private func noteUnreadable(_ error: TrustError?) {
    let before = unreadable
    unreadable = error.map { ($0, before?.since ?? loop.now()) }
    if let error, before == nil {
      let meanwhile =
        areHooksRead
        ? "Events wait up to \(TimeSpan(microseconds: Follower.unreadableTime)) for them; then the hooks count as they were read last."
        : "Nothing is read from the journal before that."
      reporter.say(
        "The hooks cannot be read now: \(error). It is tried again every second. \(meanwhile)", .trouble,
        priority: .error)
    } else if error == nil, before != nil {
      reporter.say("The hooks can be read again.", .trouble, priority: .notice)
    }
  }

  /// Whether events may be matched to the hooks: not before they were read as they are now, unless that takes too long.
  var canMatch: Bool {
    guard let unreadable else { return areHooksRead }
    return areHooksRead && loop.now() >= unreadable.since + Follower.unreadableTime
  }

  private func loadConfiguration() throws(TrustError) {
    try configuration.load()
    let now = configuration.configuration
    hooks.defaultTimeout = now.defaultTimeout
    let jobs = options.jobs ?? now.jobs
    if executor.jobs != jobs { executor.jobs = jobs }
  }

  private var links: Set<String> { hooks.links.union(configuration.links) }

  private func watchFiles() -> SystemError? {
    hookWatcher?.watch(
      contentsOf: hooks.directories + configuration.dropInFolders, links: links,
      files: configuration.paths + hooks.refusedPaths.sorted())
  }

  /// Reads the hooks anew, and goes on with what had to wait for that.
  ///
  /// - Parameter isAsked: by a signal; the manager waits for the end of it.
  func hooksChanged(isAsked: Bool = false) {
    reloadHooks(isAsked: isAsked)
    guard areHooksRead else { return }
    if !hasBegun {
      do { try begin() } catch {
        reporter.say("\(error).", .trouble, priority: .error)
        loop.exit(1)
      }
    } else if !isDraining, match() {
      look()
    }
  }

  func reloadHooks(isAsked: Bool) {
    if isAsked { ServiceNotifier.reloading(monotonic: Clock.monotonic()) }
    let units = Set(hooks.hooks.map(\.hook).mentionedUnits)
    loadHooks()
    if hasBegun {
      // Units that are named for the first time may have other names, by which the next event is to be matched.
      if units.isSuperset(of: hooks.hooks.map(\.hook).mentionedUnits) { resolveAliases() } else { resolveAliasesNow() }
      // Of units that are named from now on it has to be known whether they are up.
      reconciler?.request()
    }
    if isAsked { ServiceNotifier.ready(status: status) } else { updateStatus() }
  }
}
