internal import Systemd

/// Which jobs take a unit down to bring it up again.
///
/// The bus does not say what type a job has. But the manager sends its signals in order: a restart's job is queued before its unit
/// goes down, and is removed only after the unit is up; a stop's job is removed before anything else happens to the unit; and a
/// start that waits for the end of a stop was queued after that stop began.
struct BusJobs: Sendable {
  /// Jobs that were queued before their unit went down.
  private var jobs: [String: UInt32] = [:]
  /// Units that are going down, and whether their processes were asked to end.
  private var stopping: [String: Bool] = [:]
  /// Jobs that have taken their unit down, while nothing else has happened to it.
  private var done: [String: UInt32] = [:]

  /// Jobs that have taken their unit down, and may bring it up again.
  private var restarting: [String: UInt32] = [:]

  /// Units that were unloaded do not report their end: the tables are cleared when they hold more entries than this.
  private static let capacity = 4096

  mutating func isQueued(_ job: UInt32, of unit: String) {
    if stopping[unit] != nil { return }
    if jobs.count >= BusJobs.capacity { jobs = [:] }
    jobs[unit] = job
  }

  /// Takes note of a job's end; true if it was a stop's, which has taken its unit down for good.
  mutating func isGone(_ job: UInt32, of unit: String) -> Bool {
    if jobs[unit] == job { jobs[unit] = nil }
    if restarting[unit] == job { restarting[unit] = nil }
    guard done[unit] == job else { return false }
    done[unit] = nil
    return true
  }

  /// Whether a job of the unit was queued and is not gone.
  func hasJob(_ unit: String) -> Bool { jobs[unit] != nil }

  /// Whether the unit did not end by itself, as far as it was last heard of.
  func isTerminated(_ unit: String) -> Bool { stopping[unit] ?? false }

  /// The number of the job that has taken the unit down, and is a restart job unless `isGone` says otherwise; of a unit that is
  /// active, the job that has done so if it was down at all since the last change. Nil if there is none.
  mutating func restartJob(at change: UnitChange) -> UInt32? {
    switch change.activeState {
    case "deactivating":
      if stopping.count >= BusJobs.capacity { stopping = [:] }
      // Behind the main process's own end come only `stop` and `stop-post` (systemd.service(5), ExecStop=, ExecStopPost=).
      let isTerminated = change.subState.hasPrefix("stop-sig")
      stopping[change.unit] = isTerminated || stopping[change.unit] ?? false
      return nil
    case "inactive", "failed":
      stopping[change.unit] = nil
      guard change.job != 0, let job = jobs.removeValue(forKey: change.unit), job == change.job else { return nil }
      if done.count >= BusJobs.capacity { (done, restarting) = ([:], [:]) }
      done[change.unit] = job
      restarting[change.unit] = job
      return job
    case "active", "reloading", "refreshing":
      stopping[change.unit] = nil
      done[change.unit] = nil
      // A unit without a process goes down and comes up at once, and one change may show both. Since systemd 244 a job is removed only
      // after the changes that it has made (job.c, bus_job_send_removed_signal()): so a stop job and a start job after it come as two changes.
      return jobs[change.unit] ?? restarting.removeValue(forKey: change.unit)
    default:
      stopping[change.unit] = nil
      done[change.unit] = nil
      return nil
    }
  }
}
