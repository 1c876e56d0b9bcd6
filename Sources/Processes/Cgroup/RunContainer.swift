import CSpawn
import Glibc
package import Systemd

/// What holds all processes of one run together, so that they can be ended together.
///
/// Nothing here waits. `kill` has done its work when it returns, but the kernel takes a moment to end the processes.
package struct RunContainer: Sendable {
  private enum Kind: Sendable {
    case cgroup(RunCgroup)
    case tree(ProcessTree)
  }

  private static let treePrefix = "tree:"
  private var kind: Kind

  package init(_ cgroup: RunCgroup) { kind = .cgroup(cgroup) }
  package init(_ tree: ProcessTree) { kind = .tree(tree) }

  /// Takes up what an earlier daemon has left behind, by its `path`.
  package init(restoring path: String, stateDirectory: String) throws(SystemError) {
    if path.hasPrefix(Self.treePrefix) {
      let id = String(path.dropFirst(Self.treePrefix.count))
      // An empty one would fit too many.
      if id.isEmpty { throw SystemError("restore a run", path: path, code: EINVAL) }
      kind = .tree(ProcessTree(runID: id, stateDirectory: stateDirectory, isRestored: true))
    } else {
      kind = .cgroup(try RunCgroup(restoring: path))
    }
  }

  /// What to keep in the ledger: the directory of the cgroup, or "tree:" and the run's id.
  package var path: String {
    switch kind {
    case .cgroup(let cgroup): cgroup.path
    case .tree(let tree): Self.treePrefix + tree.runID
    }
  }

  /// Creates a process in it; the request's own `cgroup` does not count.
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
      request.name = tree.nameOfUnborn
      let process = try Processes.spawn(request)
      tree.adopt(process.pid)
      kind = .tree(tree)
      return process
    }
  }

  /// The file to watch by inotify (IN_MODIFY): then `isEmpty` may have changed. Without one, it is to be asked by a timer.
  package var eventsPath: String? {
    guard case .cgroup(let cgroup) = kind else { return nil }
    return cgroup.eventsPath
  }

  /// Whether nothing of the run is alive.
  package mutating func isEmpty() -> Bool {
    switch kind {
    case .cgroup(let cgroup): return !cgroup.isPopulated
    case .tree(var tree):
      defer { kind = .tree(tree) }
      return tree.isEmpty()
    }
  }

  /// Asks all of it to end: SIGTERM, and SIGCONT, as what is stopped would not notice.
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

  /// Sends a signal to all of it.
  package mutating func signal(_ signal: Int32) {
    switch kind {
    case .cgroup(let cgroup): cgroup.signal(signal)
    case .tree(var tree):
      tree.signal(signal)
      kind = .tree(tree)
    }
  }

  /// Ends all that an earlier daemon has left of it, and waits for that, for two seconds at most.
  ///
  /// - Returns: whether nothing is left.
  package mutating func endLeftovers() -> Bool {
    killUntilEmpty()
    if case .tree = kind, isEmpty() {
      // What begins its program at this moment has lost its old name, and does not show its environment yet.
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

  /// Ends all of it, whatever it is doing.
  package mutating func kill() {
    switch kind {
    case .cgroup(let cgroup): cgroup.kill()
    case .tree(var tree):
      tree.kill()
      kind = .tree(tree)
    }
  }

  /// Collects the orphans that have ended, where they are ours to collect.
  ///
  /// - Parameter spared: the main processes, which have their own ends.
  package func reap(sparing spared: Set<ProcessID>) {
    if case .tree = kind { ProcessTree.reap(sparing: spared) }
  }

  /// Removes what the kernel keeps for the run.
  ///
  /// - Returns: false if that has to be tried again, as processes are still ending.
  package func remove() -> Bool {
    guard case .cgroup(let cgroup) = kind else { return true }
    return cgroup.remove()
  }
}
