internal import HookFiles
internal import Hooks
internal import Lifecycle
internal import Runs

extension HookStore {
  /// Opens a hook's program for a run: what was checked when the hook was loaded, or nothing.
  ///
  /// The hook may have changed since the run was planned: what is now for other events must not run for this one. A hook that
  /// answers another's failure is not asked whether the event is one of its own.
  func open(_ run: Run) throws(HookError) -> OpenedHook {
    let opened = try open(run.hook)
    let names = aliases.names(of: run.event.unit)
    guard run.failed != nil || opened.hook.definition.match.matches(run.event, aliases: names) else {
      throw HookError(.refused, "the hook was changed meanwhile, and is not for this event any more")
    }
    return opened
  }
}
