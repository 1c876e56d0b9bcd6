import Glibc
package import Systemd

/// How the daemon keeps track of the processes of its runs. This is decided once, when the daemon starts.
package enum Containment: Sendable {
  case cgroups(CgroupRoot)
  /// There is no cgroup that we may manage. The journal shows the reason.
  case processTrees(reason: String)

  /// Chooses the best way: below the cgroup that systemd has delegated to us, else in a scope that we start, else by process
  /// trees.
  ///
  /// This may move the process to another cgroup. It waits for that for a few seconds at most.
  package static func establish() -> Containment {
    guard CgroupMount.current() != nil else { return fallBack("there is no cgroup2 hierarchy (unified or hybrid)") }
    // nil if our cgroup is outside of our cgroup namespace. A scope may move us into it.
    let own = CgroupRoot.current()
    if let own, own.isDelegated && own.isWritable { return .cgroups(own) }
    // A service must not leave its cgroup: systemd would regard the service as ended.
    if let own, own.name.hasSuffix(".service") && !own.hasOtherProcesses {
      return fallBack("\(own.name) lacks Delegate=yes")
    }
    do {
      let scope = try DelegatedScope.enter()
      if scope.isWritable { return .cgroups(scope) }
      return fallBack("the scope's cgroup \(scope.path) is read-only")
    } catch {
      return fallBack(
        "the cgroup \(own?.name ?? "outside of the namespace") is not delegated to journalhook, and no scope could be started: \(error)"
      )
    }
  }

  private static func fallBack(_ reason: String) -> Containment {
    // This cannot fail since Linux 3.4.
    _ = ProcessTree.becomeSubreaper()
    return .processTrees(reason: reason)
  }

  /// Makes the container of an attempt at a run.
  ///
  /// - Parameters:
  ///   - id: the value of JOURNALHOOK_RUN_ID in the environment of the run's processes.
  ///   - attempt: the number of the attempt; each attempt has a container of its own.
  ///   - stateDirectory: the ledger's directory.
  package func makeContainer(
    runID id: String, attempt: Int, stateDirectory: String
  ) throws(SystemError) -> RunContainer {
    switch self {
    case .cgroups(let root): RunContainer(try root.makeRun(id: "\(id)-\(attempt)"))
    case .processTrees: RunContainer(ProcessTree(runID: id, stateDirectory: stateDirectory))
    }
  }
}
