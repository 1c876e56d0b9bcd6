internal import JournalHookCore
internal import Systemd

/// The hook files and the configuration, as they change.
extension Follower {
  /// Reads the hooks and the configuration. What cannot be read now stays as it was, and is read again in a second.
  func loadHooks() {
    // Watched before they are read, so that no change falls in between; what links lead to is known only afterwards.
    var failure = watchFiles()
    hookTimer = nil
    do throws(TrustError) {
      let (linked, refused) = (linkedFolders, hooks.refusedPaths)
      try loadFiles()
      if linkedFolders != linked || hooks.refusedPaths != refused {
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
    if let failure, !isPollingHooks {
      isPollingHooks = true
      reporter.say(
        "The hook directories are looked at every second: \(failure). Raise fs.inotify.max_user_instances.", .trouble,
        priority: .warning)
    }
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

  private var linkedFolders: Set<String> { hooks.linkedFolders.union(configuration.linkedFolders) }

  private func watchFiles() -> SystemError? {
    hookWatcher?.watch(
      contentsOf: hooks.directories + configuration.dropInFolders, linked: linkedFolders,
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
    if isAsked { ServiceNotifier.ready(status: status) } else { ServiceNotifier.status(status) }
  }
}
