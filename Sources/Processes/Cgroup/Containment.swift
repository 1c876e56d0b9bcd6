import Glibc
package import Systemd

/// How the runs of this daemon are held together, settled once when it starts.
package enum Containment: Sendable {
  case cgroups(CgroupRoot)
  /// Without a cgroup that we may divide. The reason is for people: in `doctor` and the journal.
  case processTrees(reason: String)

  /// Finds the best there is: the cgroup that systemd has given us, else a scope that we ask for, else process trees.
  ///
  /// It may move this process to another cgroup, and waits for that, for a few seconds at most.
  package static func establish() -> Containment {
    guard CgroupMount.current() != nil else { return fallBack("there is no cgroup2 hierarchy (unified or hybrid)") }
    // None if ours is outside of what our cgroup namespace shows, from where a scope may bring us in.
    let own = CgroupRoot.current()
    if let own, own.isDelegated && own.isWritable { return .cgroups(own) }
    // A service must not leave its cgroup: systemd would take it for ended.
    if let own, own.name.hasSuffix(".service") && !own.holdsOthers { return fallBack("\(own.name) lacks Delegate=yes") }
    do {
      let scope = try DelegatedScope.enter()
      if scope.isWritable { return .cgroups(scope) }
      return fallBack("the scope's cgroup \(scope.path) is read-only")
    } catch {
      return fallBack(
        "the cgroup \(own?.name ?? "outside of the namespace") is not delegated to journalhook, and no scope is to be had: \(error)"
      )
    }
  }

  private static func fallBack(_ reason: String) -> Containment {
    // It cannot fail on any Linux since 3.4.
    _ = ProcessTree.becomeSubreaper()
    return .processTrees(reason: reason)
  }

  /// Makes what is to hold a new run.
  ///
  /// - Parameter id: what the run's processes have as JOURNALHOOK_RUN_ID.
  /// - Parameter attempt: each has a container of its own.
  /// - Parameter stateDirectory: the ledger's directory.
  package func makeContainer(
    runID id: String, attempt: Int, stateDirectory: String
  ) throws(SystemError) -> RunContainer {
    switch self {
    case .cgroups(let root): RunContainer(try root.makeRun(id: "\(id)-\(attempt)"))
    case .processTrees: RunContainer(ProcessTree(runID: id, stateDirectory: stateDirectory))
    }
  }
}
