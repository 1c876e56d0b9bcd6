internal import JournalHookCore
internal import Systemd

/// The hook files, as they change.
extension Follower {
  func loadHooks() {
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

  func reloadHooks(isAsked: Bool) {
    if isAsked { ServiceNotifier.reloading(monotonic: Clock.monotonic()) }
    loadHooks()
    resolveAliases()
    // Of units that are named from now on it has to be known whether they are up.
    reconciler?.request()
    if isAsked { ServiceNotifier.ready(status: status) } else { ServiceNotifier.status(status) }
  }
}
