/// Which runs wait for an earlier one that will be tried again.
///
/// A retry holds only its own hook's later runs for the unit. These stay in the ledger, so that they take no room from others.
struct RetryHolds: Sendable {
  /// The run of each series that waits to be tried again.
  private var blockers: [RunSeries: Int64] = [:]
  /// Series of which runs were left in the ledger.
  private var left: Set<RunSeries> = []

  /// Whether a run is left in the ledger for now.
  mutating func keepBack(_ run: Run) -> Bool {
    let series = RunSeries(run)
    if let blocker = blockers[series] {
      if blocker == run.id { return false }
    } else if !left.contains(series) {
      return false
    }
    left.insert(series)
    return true
  }

  mutating func block(_ run: Run) { blockers[RunSeries(run)] = run.id }

  /// The run has its outcome; whether runs of its series were left in the ledger, which may go on now.
  mutating func unblock(_ run: Run) -> Bool {
    let series = RunSeries(run)
    if blockers[series] == run.id { blockers[series] = nil }
    return blockers[series] == nil && left.contains(series)
  }

  /// Runs of the series are in the ledger, and wait there.
  mutating func leave(_ series: RunSeries) { left.insert(series) }

  /// The series is read from the ledger again.
  mutating func takeUp(_ series: RunSeries) { left.remove(series) }
}
