import Glibc
import Synchronization
internal import Systemd

/// A cache of the process table, and of the run ids in the environments of processes.
///
/// Reading /proc takes about 15 µs per process, and while runs are being ended each of them needs the table again and again. A
/// table that is some milliseconds old is good enough to see that a run has no processes left: a process that has ended starts
/// no others.
package enum RecentProcesses {
  /// The age up to which a table is used, in microseconds.
  private static let age: UInt64 = 20_000

  private struct Key: Hashable {
    let pid: ProcessID
    let started: UInt64
  }

  private struct State {
    var table: ProcessTable?
    var time: UInt64 = 0
    /// The run's id in the environment of a process, or nil for a process without one.
    var markers: [Key: String?] = [:]
  }

  private static let state = Mutex(State())

  /// The cached table, or a new one if that is too old.
  static func table() -> ProcessTable {
    state.withLock { state in
      let now = Clock.monotonic()
      if let table = state.table, now - state.time < age { return table }
      let table = ProcessTable.current()
      let alive = Set(table.entries.map { Key(pid: $0.pid, started: $0.started) })
      state.markers = state.markers.filter { alive.contains($0.key) }
      state.table = table
      // The age counts from the start of the listing: later processes may not be in it.
      state.time = now
      return table
    }
  }

  /// Drops the table. Call this when a new process has to be in the next one.
  package static func forget() {
    state.withLock { $0.table = nil }
  }

  /// Drops the table and the run ids. Call this when processes may have executed a program since their environment was read.
  static func forgetAll() {
    state.withLock { $0 = State() }
  }

  /// The id of the run in the environment of a process; nil if there is none.
  ///
  /// The first answer for a process is kept: if the process later executes another program with a cleared environment, it still
  /// belongs to the run.
  static func marker(of entry: ProcessTable.Entry) -> String? {
    state.withLock { state in
      let key = Key(pid: entry.pid, started: entry.started)
      if let known = state.markers[key] { return known }
      // A copy, because the substring would keep the whole environment in memory.
      let marker = entry.environmentValue(ProcessTree.marker).map(String.init)
      state.markers[key] = .some(marker)
      return marker
    }
  }
}
