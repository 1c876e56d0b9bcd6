internal import Systemd

extension LifecycleEvent {
  /// The event as a JSON object, as journalhook-events(7) describes it; absent values are left out.
  package var json: JSONObject {
    var object = JSONObject()
    write(to: &object)
    return object
  }

  /// Adds the members of that.
  package func write(to object: inout JSONObject) {
    object.add("id", plain: id)
    object.add("event", plain: kind.rawValue)
    object.add("unit", unit)
    object.add("result", result)
    object.add("restart_job", restartJob)
    object.add("invocation", invocation)
    if let job {
      object.add("job") { inner in
        inner.add("id", job.id)
        inner.add("type", job.type)
        inner.add("result", job.result)
      }
    }
    object.add("exit_code", exitCode)
    object.add("exit_status", exitStatus)
    object.add("n_restarts", nRestarts)
    object.add("auto_restart", autoRestart)
    object.add("message", message)
    object.add("time", plain: Timestamp(microseconds: realtime).iso8601UTC)
    object.add("boot", boot)
    object.add("machine", machine)
    object.add("hostname", hostname)
    object.add("manager", plain: manager.name)
    object.add("source", plain: source.rawValue)
    object.add("cursor", cursor)
  }
}
