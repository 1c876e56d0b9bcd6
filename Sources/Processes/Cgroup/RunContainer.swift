import CSpawn
import Glibc
package import Systemd

/// The set of all processes of one run, so that they can be ended together: a cgroup or a process tree.
///
/// Only `endLeftovers` waits. When `kill` returns, all processes have been sent SIGKILL, and the kernel takes a moment to end
/// them.
package struct RunContainer: Sendable {
  private enum Kind: Sendable {
    case cgroup(RunCgroup)
    case tree(ProcessTree)
  }

  private static let treePrefix = "tree:"
  private var kind: Kind

  package init(_ cgroup: RunCgroup) { kind = .cgroup(cgroup) }
  package init(_ tree: ProcessTree) { kind = .tree(tree) }

  /// Restores the container of a run that an earlier daemon started, from its `path`.
  package init(restoring path: String, stateDirectory: String) throws(SystemError) {
    if path.hasPrefix(Self.treePrefix) {
      let id = String(path.dropFirst(Self.treePrefix.count))
      // An empty id would match the processes of other runs, too.
      if id.isEmpty { throw SystemError("restore a run", path: path, code: EINVAL) }
      kind = .tree(ProcessTree(runID: id, stateDirectory: stateDirectory, isRestored: true))
    } else {
      kind = .cgroup(try RunCgroup(restoring: path))
    }
  }

  /// The text for the ledger from which the container can be restored: the directory of the cgroup, or "tree:" and the run's
  /// id.
  package var path: String {
    switch kind {
    case .cgroup(let cgroup): cgroup.path
    case .tree(let tree): Self.treePrefix + tree.runID
    }
  }

  /// Creates a process in the container. The container sets the request's `cgroup`.
  package mutating func spawn(_ request: SpawnRequest) throws(SpawnError) -> SpawnedProcess {
    var request = request
    switch kind {
    case .cgroup(let cgroup):
      let directory: OwnedDescriptor
      do { directory = try cgroup.openDirectory() } catch { throw SpawnError(step: .cgroup, code: error.code) }
      request.cgroup = directory.rawValue
      return try Processes.spawn(request)
    case .tree(var tree):
      request.cgroup = nil
      request.name = tree.nameBeforeExec
      let process = try Processes.spawn(request)
      tree.adopt(process.pid)
      kind = .tree(tree)
      return process
    }
  }

  /// A file that changes (inotify's IN_MODIFY) when `isEmpty` may have changed; nil if there is none, and `isEmpty` has to be
  /// called by a timer.
  package var eventsPath: String? {
    guard case .cgroup(let cgroup) = kind else { return nil }
    return cgroup.eventsPath
  }

  /// Whether no process of the run is alive.
  package mutating func isEmpty() -> Bool {
    switch kind {
    case .cgroup(let cgroup): return !cgroup.isPopulated
    case .tree(var tree):
      defer { kind = .tree(tree) }
      return tree.isEmpty()
    }
  }

  /// Asks all processes of the run to end, with SIGTERM. SIGCONT follows, because a stopped process would not receive SIGTERM.
  package mutating func terminate() {
    switch kind {
    case .cgroup:
      signal(SIGTERM)
      signal(SIGCONT)
    case .tree(var tree):
      tree.signal(SIGTERM, SIGCONT)
      kind = .tree(tree)
    }
  }

  /// Sends a signal to all processes of the run.
  package mutating func signal(_ signal: Int32) {
    switch kind {
    case .cgroup(let cgroup): cgroup.signal(signal)
    case .tree(var tree):
      tree.signal(signal)
      kind = .tree(tree)
    }
  }

  /// Kills all processes of a run that an earlier daemon started, and waits for their end, for a few seconds at most.
  ///
  /// - Returns: whether no process is left.
  package mutating func endLeftovers() -> Bool {
    killUntilEmpty()
    if case .tree = kind, isEmpty() {
      // A process in the middle of execve(2) no longer has its old name, and its environment cannot be seen yet.
      _ = poll(nil, 0, 10)
      RecentProcesses.forgetAll()
      killUntilEmpty()
    }
    return isEmpty()
  }

  private mutating func killUntilEmpty() {
    for _ in 0..<200 where !isEmpty() {
      kill()
      _ = poll(nil, 0, 10)
    }
  }

  /// Kills all processes of the run.
  package mutating func kill() {
    switch kind {
    case .cgroup(let cgroup): cgroup.kill()
    case .tree(var tree):
      tree.kill()
      kind = .tree(tree)
    }
  }

  /// Reaps orphans that have ended, if they are our children.
  ///
  /// - Parameter spared: the main processes, which other code waits for.
  package func reap(sparing spared: Set<ProcessID>) {
    if case .tree = kind { ProcessTree.reap(sparing: spared) }
  }

  /// Removes the cgroup of the run, if it has one.
  ///
  /// - Returns: false if processes are still ending, so that this has to be tried again.
  package func remove() -> Bool {
    guard case .cgroup(let cgroup) = kind else { return true }
    return cgroup.remove()
  }
}
