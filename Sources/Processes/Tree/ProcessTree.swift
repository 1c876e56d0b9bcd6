import CSpawn
import Glibc
internal import Systemd

/// The processes of a run that has no cgroup: its main processes and their descendants. Orphans among the descendants become
/// our children, because we are a child subreaper (PR_SET_CHILD_SUBREAPER in prctl(2)).
///
/// An orphan belongs to the run if it was seen below a main process before, or is in the session of a main process, or has the
/// run's id in its environment. An orphan for which none of these holds cannot be assigned to a run: see `endStrays`.
package struct ProcessTree: Sendable {
  /// The variable with the run's id in the environment of its processes.
  package static let marker = "JOURNALHOOK_RUN_ID"

  /// How often the processes are listed and stopped before they are killed in any case.
  private static let roundLimit = 200

  private struct Identity: Hashable {
    let pid: ProcessID
    let started: UInt64

    init(_ entry: ProcessTable.Entry) {
      pid = entry.pid
      started = entry.started
    }
  }

  /// The id of the run in the ledger.
  package let runID: String
  /// The processes that we created ourselves.
  private var mainProcesses: Set<Identity> = []
  /// The members that were found last.
  private var seen: Set<Identity> = []
  /// The ledger's directory. It distinguishes our runs from those of another journalhook on this machine, which counts its runs
  /// from 1, too.
  private let stateDirectory: String
  /// Whether an earlier daemon started the run, so that its orphans are not our children.
  private let isRestored: Bool

  package init(runID: String, stateDirectory: String, isRestored: Bool = false) {
    self.runID = runID
    self.stateDirectory = stateDirectory
    self.isRestored = isRestored
  }

  /// The name of a process of the run before it executes its program. Until then its environment does not contain the run's
  /// id.
  package var nameBeforeExec: String {
    // An FNV-1a hash, because the name of a process has at most 15 bytes.
    let hash = "\(stateDirectory)\0\(runID)".utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01b3
    }
    return "hook-" + String(hash, radix: 36).prefix(10)
  }

  /// Adds a main process, right after it was created.
  package mutating func adopt(_ pid: ProcessID) {
    RecentProcesses.forget()
    if let entry = ProcessTable.Entry(pid: pid) { mainProcesses.insert(Identity(entry)) }
  }

  /// Makes this process the parent of orphans among its descendants, instead of init. Call it once, before the first run.
  package static func becomeSubreaper() -> Bool {
    cspawn_become_subreaper() == 0
  }

  /// Whether no process of the run is alive. Zombies are not alive.
  package mutating func isEmpty() -> Bool {
    members(in: RecentProcesses.table()).isEmpty
  }

  /// Sends signals to all processes of the run.
  package mutating func signal(_ signals: Int32...) {
    var done: Set<Identity> = []
    // As in `RunCgroup.signal`: three rounds for processes that are forked meanwhile, and no endless race.
    for round in 0..<3 {
      let new = members(in: round == 0 ? RecentProcesses.table() : .current())
        .filter { done.insert(Identity($0)).inserted }
      if new.isEmpty, round > 0 { return }
      for member in new {
        for signal in signals { Self.send(signal, to: member) }
      }
    }
  }

  /// Kills all processes of the run: first stops them until none is left that could fork, then kills them.
  package mutating func kill() {
    var stopped: Set<Identity> = []
    // A stopped process cannot fork; so each round finds fewer processes that are not stopped, and the last round none. Only a
    // setuid program, which we may not stop, can go on forking.
    var found: [ProcessTable.Entry] = []
    for _ in 0..<Self.roundLimit {
      found = members()
      let new = found.filter { stopped.insert(Identity($0)).inserted }
      if new.isEmpty { break }
      for member in new { Self.send(SIGSTOP, to: member) }
    }
    for member in found { Self.send(SIGKILL, to: member) }
  }

  /// Reaps zombies among our children.
  ///
  /// - Parameter spared: children that other code waits for.
  package static func reap(sparing spared: Set<ProcessID>) {
    let own = getpid()
    for entry in RecentProcesses.table().entries
    where entry.isZombie && entry.parent == own && !spared.contains(entry.pid) {
      var status: Int32 = 0
      _ = unsafe waitpid(entry.pid, &status, WNOHANG)
    }
  }

  /// Kills all orphans that are our children, and their descendants. Call it when no run is under way, so that they belong to
  /// no run.
  ///
  /// - Parameter spared: children that do not come from a run.
  package static func endStrays(sparing spared: Set<ProcessID>) {
    var stopped: Set<Identity> = []
    let own = getpid()
    for round in 0..<Self.roundLimit {
      let table = ProcessTable.current()
      let roots = table.entries.filter { $0.parent == own && !$0.isZombie && !spared.contains($0.pid) }
      let all = table.trees(of: roots).filter { !$0.isZombie }
      let new = all.filter { stopped.insert(Identity($0)).inserted }
      if new.isEmpty || round == Self.roundLimit - 1 {
        for entry in all { send(SIGKILL, to: entry) }
        return
      }
      for entry in new { send(SIGSTOP, to: entry) }
    }
  }

  private mutating func members(in table: ProcessTable = .current()) -> [ProcessTable.Entry] {
    let members = table.trees(of: table.entries.filter { isRoot($0) }).filter { !$0.isZombie }
    // Processes that have ended are removed, because their pids may be used again.
    seen = Set(members.map(Identity.init))
    return members
  }

  private func isRoot(_ entry: ProcessTable.Entry) -> Bool {
    let identity = Identity(entry)
    if mainProcesses.contains(identity) || seen.contains(identity) { return true }
    // Only an orphan can have a parent outside of the run: us, or for a run of an earlier daemon init or another subreaper.
    guard isRestored ? entry.pid != getpid() : entry.parent == getpid(), !entry.isZombie else { return false }
    if isRestored, entry.name == nameBeforeExec { return true }
    // The environment comes before the session, because the number of a session may be used again by another run.
    if let id = RecentProcesses.marker(of: entry) {
      guard isRestored else { return id == runID }
      return id == runID
        && entry.environmentValue("JOURNALHOOK_STATE_DIRECTORY")?.hasPrefix("\(stateDirectory)/") == true
    }
    return !isRestored && mainProcesses.contains { $0.pid == entry.session }
  }

  private static func send(_ signal: Int32, to entry: ProcessTable.Entry) {
    let number = cspawn_pidfd_open(entry.pid)
    guard number >= 0 else { return }
    let pidfd = OwnedDescriptor(number)
    // A pidfd refers to one process for good. If the process that has the pid now is the one that was found, so is that of the
    // pidfd.
    guard ProcessTable.Entry(pid: entry.pid)?.started == entry.started else { return }
    _ = cspawn_pidfd_signal(pidfd.rawValue, signal)
  }
}
