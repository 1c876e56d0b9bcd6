import Glibc
import Synchronization
internal import Systemd

/// All processes as they were a moment ago, and what their environments said when they were first asked.
///
/// Reading /proc takes some 15 µs a process, and while runs are being ended each of them asks again and again. An old table is
/// good enough to tell that nothing of a run is left: what has ended begins nothing more.
package enum RecentProcesses {
  /// How old a table may be, in microseconds.
  private static let age: UInt64 = 20_000

  private struct Key: Hashable {
    let pid: ProcessID
    let started: UInt64
  }

  private struct State {
    var table: ProcessTable?
    var time: UInt64 = 0
    /// The run's id in the environment of a process, or that there is none.
    var markers: [Key: String?] = [:]
  }

  private static let state = Mutex(State())

  /// The table of a moment ago, or a new one.
  static func table() -> ProcessTable {
    state.withLock { state in
      let now = Clock.monotonic()
      if let table = state.table, now - state.time < age { return table }
      let table = ProcessTable.current()
      let alive = Set(table.entries.map { Key(pid: $0.pid, started: $0.started) })
      state.markers = state.markers.filter { alive.contains($0.key) }
      state.table = table
      // From when it was begun: what has come since is not in it.
      state.time = now
      return table
    }
  }

  /// To be called when there is a new process that has to be in the next table.
  package static func forget() {
    state.withLock { $0.table = nil }
  }

  /// To be called when processes may have executed other programs since they were asked.
  static func forgetAll() {
    state.withLock { $0 = State() }
  }

  /// The run that a process's environment names. It is what it was when it was executed; later ones of the same process may
  /// have been cleared, so the first answer counts.
  static func marker(of entry: ProcessTable.Entry) -> String? {
    state.withLock { state in
      let key = Key(pid: entry.pid, started: entry.started)
      if let known = state.markers[key] { return known }
      // A copy: the slice would keep the whole environment.
      let marker = entry.environmentValue(ProcessTree.marker).map(String.init)
      state.markers[key] = .some(marker)
      return marker
    }
  }
}
