internal import JournalHookCore
internal import Systemd

/// The hook files and the configuration, as they change.
extension Follower {
  func loadHooks() {
    // Watched before they are read, so that no change falls in between; what links lead to is known only afterwards.
    var failure = watchFiles()
    let (linked, refused) = (linkedFolders, hooks.refusedPaths)
    loadConfiguration()
    var isComplete = hooks.load()
    if linkedFolders != linked || hooks.refusedPaths != refused {
      failure = watchFiles()
      loadConfiguration()
      isComplete = hooks.load()
    }
    hooks.onUnaskedLoad = { [unowned self] in
      // What a run has come across is to be told, and watched, like what a change has brought.
      hookTimer = try? loop.schedule { [unowned self] in reloadHooks(isAsked: false) }
    }
    hookTimer = nil
    if !isComplete {
      hookTimer = try? loop.schedule(at: loop.now() + Follower.retryInterval) { [unowned self] in
        reloadHooks(isAsked: false)
      }
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

  private func loadConfiguration() {
    configuration.load()
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

  func reloadHooks(isAsked: Bool) {
    if isAsked { ServiceNotifier.reloading(monotonic: Clock.monotonic()) }
    loadHooks()
    resolveAliases()
    // Of units that are named from now on it has to be known whether they are up.
    reconciler?.request()
    if isAsked { ServiceNotifier.ready(status: status) } else { ServiceNotifier.status(status) }
  }
}
