package import Lifecycle
package import Runs
internal import Systemd

/// The one transaction that records what reading the journal led to: runs, cursor, the state of units, rate limits.
extension Ledger {
  /// Everything that one batch of entries led to.
  package struct Step {
    package var planned: [PlannedRun]
    package var events: [LifecycleEvent]
    /// The cursor of the last entry that was read; nil if the cursor does not change.
    package var cursor: String?
    package var reader = ""
    /// The units whose tracked state has changed, by their keys in `tracker`.
    package var changes: Set<LifecycleTracker.Key> = []
    package var tracker = LifecycleTracker()
    /// The windows of rate limits that have changed.
    package var rateLimits: [RateLimiter.Key: RateLimiter.Window?] = [:]
    package var isCatchingUp = false
    /// Whether to repeat runs that the ledger has already.
    package var again = false

    package init(planned: [PlannedRun], events: [LifecycleEvent]) {
      self.planned = planned
      self.events = events
    }
  }

  /// The result of a step.
  package struct Commit {
    /// The runs that can start now.
    package var runs: [Run] = []
    /// The runs that waited and were superseded by an event of the step.
    package var superseded: [Run] = []
    /// How many runs were added that wait for a time.
    package var waiting = 0
    /// The numbers of runs that another owner has added and not finished yet.
    package var others: [Int64] = []
  }

  /// Writes the runs, the cursor and the tracked state of a step in one transaction.
  package func commit(_ step: Step, owner: String, now: UInt64) throws(SQLiteError) -> Commit {
    try database.transaction { () throws(SQLiteError) in
      var commit = Commit()
      var remaining = step.planned[...]
      for event in step.events {
        if step.isCatchingUp { try supersedeHeld(by: event, now: now) }
        commit.superseded += try supersedeWaiting(by: event, now: now)
        while let next = remaining.first, next.event.id == event.id {
          remaining.removeFirst()
          if let run = try insert(next, owner: owner, again: step.again, now: now) { commit.runs.append(run) }
          if database.changes == 0 {
            if let other = try claimLater(next, owner: owner) { commit.others.append(other) }
          } else if next.due != nil {
            commit.waiting += 1
          }
        }
      }
      if let cursor = step.cursor { try save(cursor: cursor, of: step.reader) }
      try save(step.changes, of: step.tracker)
      try save(step.rateLimits)
      return commit
    }
  }
}
