package import Lifecycle

/// An event for tests; they say only what matters to them.
package func event(
  _ kind: LifecycleEvent.Kind = .stopped, _ unit: String = "maxscale.service", result: String? = nil,
  restartJob: Bool? = nil, autoRestart: Bool? = nil, exit: (code: String, status: String)? = nil,
  hostname: String? = nil
) -> LifecycleEvent {
  LifecycleEvent(
    id: "0", kind: kind, unit: unit, result: result, restartJob: restartJob, autoRestart: autoRestart,
    exitCode: exit?.code,
    exitStatus: exit?.status, realtime: 0, monotonic: 0, boot: "b", machine: "m", hostname: hostname)
}
