import CSpawn
import Glibc
internal import Systemd

/// The processes of one run where it has no cgroup: its main processes, what descends from them, and the orphans among those,
/// which the kernel makes our children as we are a "child subreaper".
///
/// An orphan belongs to the run if it was seen below a main process before, or is in the session of one, or has the
/// run's id in its environment. One that escaped all three belongs to no run that can be told: see `endStrays`.
package struct ProcessTree: Sendable {
  package static let marker = "JOURNALHOOK_RUN_ID"

  private static let roundLimit = 200

  private struct Identity: Hashable {
    let pid: ProcessID
    let started: UInt64

    init(_ entry: ProcessTable.Entry) {
      pid = entry.pid
      started = entry.started
    }
  }

  package let runID: String
  /// Those that we created ourselves.
  private var mains: Set<Identity> = []
  private var seen: Set<Identity> = []
  /// The ledger's directory. Another journalhook counts its runs from 1 as well; its runs have their state directories elsewhere.
  private let stateDirectory: String
  /// Whether an earlier daemon began the run, so that its orphans are not our children.
  private let isRestored: Bool

  package init(runID: String, stateDirectory: String, isRestored: Bool = false) {
    self.runID = runID
    self.stateDirectory = stateDirectory
    self.isRestored = isRestored
  }

  /// What a process of it is called that does not execute its program yet, so that its environment does not name the run.
  package var nameOfUnborn: String {
    // FNV-1a; a process's name has 15 bytes.
    let hash = "\(stateDirectory)\0\(runID)".utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01b3
    }
    return "hook-" + String(hash, radix: 36).prefix(10)
  }

  /// Tells of a process that belongs to it, right after it was created.
  package mutating func adopt(_ pid: ProcessID) {
    RecentProcesses.forget()
    if let entry = ProcessTable.Entry(pid: pid) { mains.insert(Identity(entry)) }
  }

  /// To be called once, before the first run: from then on no orphan gets away to init.
  package static func becomeSubreaper() -> Bool {
    cspawn_become_subreaper() == 0
  }

  /// Whether nothing of it is alive; what has ended and only waits to be reaped does not count.
  package mutating func isEmpty() -> Bool {
    members(in: RecentProcesses.table()).isEmpty
  }

  /// Sends signals to all of it.
  package mutating func signal(_ signals: Int32...) {
    var done: Set<Identity> = []
    // As with a cgroup: some rounds for what is forked meanwhile, but no race without an end.
    for round in 0..<3 {
      let new = members(in: round == 0 ? RecentProcesses.table() : .current())
        .filter { done.insert(Identity($0)).inserted }
      if new.isEmpty, round > 0 { return }
      for member in new {
        for signal in signals { Self.send(signal, to: member) }
      }
    }
  }

  /// Ends all of it: stops it, until nothing is left that could fork, and then kills it.
  package mutating func kill() {
    var stopped: Set<Identity> = []
    // A process that was stopped forks no more; so each round finds fewer, and the last none. Only of one that is not
    // ours to stop, as its program is setuid, there may always be more.
    var found: [ProcessTable.Entry] = []
    for _ in 0..<Self.roundLimit {
      found = members()
      let new = found.filter { stopped.insert(Identity($0)).inserted }
      if new.isEmpty { break }
      for member in new { Self.send(SIGSTOP, to: member) }
    }
    for member in found { Self.send(SIGKILL, to: member) }
  }

  /// Collects what has ended and has no parent but us.
  ///
  /// - Parameter spared: the processes that others wait for.
  package static func reap(sparing spared: Set<ProcessID>) {
    let own = getpid()
    for entry in RecentProcesses.table().entries
    where entry.isZombie && entry.parent == own && !spared.contains(entry.pid) {
      var status: Int32 = 0
      _ = unsafe waitpid(entry.pid, &status, WNOHANG)
    }
  }

  /// Kills orphans that no run owns up to, with what is below them: to be called when no run is under way.
  ///
  /// - Parameter spared: children of ours that are none of a run's.
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
    // Those that have ended are forgotten; their numbers may come back.
    seen = Set(members.map(Identity.init))
    return members
  }

  private func isRoot(_ entry: ProcessTable.Entry) -> Bool {
    let identity = Identity(entry)
    if mains.contains(identity) || seen.contains(identity) { return true }
    // Only orphans can be without a parent in the run. Those of an earlier daemon went to init or another subreaper.
    guard isRestored ? entry.pid != getpid() : entry.parent == getpid(), !entry.isZombie else { return false }
    if isRestored, entry.name == nameOfUnborn { return true }
    // A session is a number too, which may have gone on to another run: then the environment tells.
    if let id = RecentProcesses.marker(of: entry) {
      guard isRestored else { return id == runID }
      return id == runID
        && entry.environmentValue("JOURNALHOOK_STATE_DIRECTORY")?.hasPrefix("\(stateDirectory)/") == true
    }
    return !isRestored && mains.contains { $0.pid == entry.session }
  }

  private static func send(_ signal: Int32, to entry: ProcessTable.Entry) {
    let number = cspawn_pidfd_open(entry.pid)
    guard number >= 0 else { return }
    let pidfd = OwnedDescriptor(number)
    // The descriptor holds on to one process; if it is the one that was found, it stays so.
    guard ProcessTable.Entry(pid: entry.pid)?.started == entry.started else { return }
    _ = cspawn_pidfd_signal(pidfd.rawValue, signal)
  }
}
