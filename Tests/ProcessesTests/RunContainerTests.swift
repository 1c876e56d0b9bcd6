import CSystemd
import Glibc
import Systemd
import TestSupport
import Testing

@testable import Processes
@testable import TrustedFiles

/// Hooks whose processes resist being ended. Each process has "$1" among its arguments, by which the test counts them.
private let stubborn: [(name: String, text: String, processes: Int)] = [
  ("a tree", "sleep $1 & sh -c 'sleep $1 & wait' sh $1 & wait", 4),
  ("one that ignores TERM", "trap '' TERM; sleep $1 & while :; do sleep $1; done", 3),
  ("a session of its own", "setsid sleep $1 & wait", 2),
  ("a daemon", "(setsid sh -c 'trap \"\" TERM; (sleep $1 &) ; sleep $1' sh $1 &) & exit 0", 3),
  ("a clean environment", "trap '' TERM; setsid env -i /bin/sh -c 'trap \"\" TERM; sleep $1; :' sh $1 & wait", 3),
  ("a stopped one", "trap '' TERM; sleep $1 & kill -STOP $$", 2),
  ("200 processes", "trap '' TERM; for i in $(seq 200); do sleep $1 & done; wait", 201),
  ("one that forks for ever", "trap '' TERM; while :; do setsid sh -c 'sleep .01; exec sleep $1' sh $1 & done", 50),
]

private enum Kind: CaseIterable, CustomTestStringConvertible {
  case cgroup, tree
  var testDescription: String { self == .cgroup ? "cgroup" : "process tree" }

  func makeContainer(_ id: String) throws -> RunContainer {
    switch self {
    case .cgroup:
      if !hasWritableCgroup { try Test.cancel("needs a writable cgroup") }
      return RunContainer(try #require(CgroupRoot.current()).makeRun(id: id))
    case .tree:
      #expect(ProcessTree.becomeSubreaper())
      return RunContainer(ProcessTree(runID: id, stateDirectory: "/nonexistent"))
    }
  }
}

/// A run, and the number of its processes as seen from outside.
private final class Run {
  private nonisolated(unsafe) static var count = 0
  let id: String
  /// A number that serves as an argument of sleep(1) and that no other process has.
  let marker: String
  var container: RunContainer
  let main: SpawnedProcess

  init(_ kind: Kind, _ text: String) throws {
    Self.count += 1
    id = "test-\(getpid())-\(Self.count)"
    let marker = "600.\(getpid())\(Self.count)"
    self.marker = marker
    container = try kind.makeContainer(id)
    let environment = [
      ("PATH", "/usr/bin:/bin"), (ProcessTree.marker, id), ("JOURNALHOOK_STATE_DIRECTORY", "/nonexistent/hooks/test"),
    ]
    main = try shell(text, [marker], in: &container) { $0.environment = environment }
  }

  /// The processes that have the marker among their arguments. Zombies have no arguments.
  var alive: Int {
    guard let directory = opendir("/proc") else { return -1 }
    defer { closedir(directory) }
    var count = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
      }
      guard pid_t(name) != nil, let file = try? OwnedDescriptor.open("/proc/\(name)/cmdline", O_RDONLY),
        let bytes = try? file.read(limit: 4096)
      else { continue }
      if String(decoding: bytes, as: UTF8.self).split(separator: "\0").contains(Substring(marker)) { count += 1 }
    }
    return count
  }

  /// Reaps and removes as the daemon does, and checks that nothing is left.
  func expectGone(sparing spared: Set<ProcessID> = []) {
    #expect(eventually { alive == 0 }, "\(alive) processes are alive")
    #expect(eventually { container.isEmpty() })
    _ = main.wait()
    #expect(
      eventually {
        container.reap(sparing: spared)
        return waitpid(-1, nil, WNOHANG) == (spared.isEmpty ? -1 : 0)
      }, "no child is left")
    #expect(eventually { container.remove() })
  }
}

extension ProcessTests {
  @Suite struct Containing {
    @Test(arguments: stubborn.indices, Kind.allCases) fileprivate func nothingSurvivesAKill(_ index: Int, _ kind: Kind)
      throws
    {
      let hook = stubborn[index]
      let run = try Run(kind, hook.text)
      let bystander = try Run(kind, "sleep $1; :")
      #expect(eventually { run.alive >= hook.processes }, "\(hook.name): \(run.alive) are up")
      #expect(!isEmpty(&run.container))
      run.container.terminate()
      usleep(20_000)
      run.container.kill()
      run.expectGone(sparing: [bystander.main.pid])
      #expect(bystander.alive == 2, "others are not touched")
      let other = bystander
      other.container.kill()
      other.expectGone()
    }

    @Test(.enabled(if: hasWritableCgroup, "needs a writable cgroup"), arguments: stubborn.indices)
    func nothingSurvivesOnOldKernels(_ index: Int) throws {
      let hook = stubborn[index]
      let run = try Run(.cgroup, hook.text)
      #expect(eventually { run.alive >= hook.processes }, "\(hook.name): \(run.alive) are up")
      try RunCgroup(restoring: run.container.path).freezeAndKill()
      run.expectGone()
    }

    @Test(arguments: [0, 2, 5], Kind.allCases) fileprivate func processesThatObeySIGTERMEnd(
      _ index: Int, _ kind: Kind
    ) throws {
      // The commands that make the processes ignore SIGTERM are removed. The stopped process has to be continued to receive it.
      var text = stubborn[index].text
      if let trap = text.firstRange(of: "trap '' TERM; ") { text.removeSubrange(trap) }
      let run = try Run(kind, text)
      #expect(eventually { run.alive >= stubborn[index].processes })
      usleep(20_000)
      run.container.terminate()
      run.expectGone()
    }

    @Test(arguments: Kind.allCases) fileprivate func processesThatTheMainProcessLeavesAreFound(_ kind: Kind) throws {
      let run = try Run(kind, "setsid sleep $1 & sleep $1 & exit 3")
      #expect(run.main.wait() == .exit(3))
      #expect(eventually { run.alive == 2 })
      #expect(!isEmpty(&run.container))
      run.container.kill()
      run.expectGone()
    }

    @Test(arguments: Kind.allCases) fileprivate func aRunIsEndedAfterACrash(_ kind: Kind) throws {
      let run = try Run(kind, "trap '' TERM; setsid sleep $1 & sleep $1")
      #expect(eventually { run.alive == 3 })
      if kind == .tree {
        var other = try RunContainer(restoring: run.container.path, stateDirectory: "/somewhere/else")
        #expect(isEmpty(&other), "a run of the same number in another ledger is not ours")
      }
      var restored = try RunContainer(restoring: run.container.path, stateDirectory: "/nonexistent")
      #expect(restored.path == run.container.path)
      #expect(!isEmpty(&restored))
      restored.kill()
      run.expectGone()
      #expect(isEmpty(&restored))
      #expect(restored.remove(), "what is gone counts as removed")
      restored.kill()
    }

    @Test func aProcessThatDoesNotExecuteYetIsEndedAfterACrash() async throws {
      let directory = try TemporaryDirectory()
      // cgroup.procs is a FIFO here: a process that joins this "cgroup" waits for a reader.
      mkfifo(directory.path + "/cgroup.procs", 0o600)
      let id = "unborn-\(getpid())"
      let name = ProcessTree(runID: id, stateDirectory: "/nonexistent").nameBeforeExec
      let spawning = Task.detached {
        let cgroup = try OwnedDescriptor.open(directory.path, O_RDONLY | O_DIRECTORY)
        _ = try shell("sleep 600") { request in
          request.cgroup = cgroup.rawValue
          request.name = name
        }.wait()
      }
      var other = try RunContainer(restoring: "tree:\(id)", stateDirectory: "/somewhere/else")
      var restored = try RunContainer(restoring: "tree:\(id)", stateDirectory: "/nonexistent")
      #expect(eventually { !isEmpty(&restored) })
      #expect(isEmpty(&other), "a run of the same number in another ledger is not ours")
      let isGone = restored.endLeftovers()
      #expect(isGone)
      _ = try? await spawning.value
    }

    @Test func straysAreEndedWhenNoRunIsLeft() throws {
      // The process has its own environment and session, and its parent ends before anybody has listed the process.
      let run = try Run(.tree, "setsid env -i setsid /bin/sh -c 'sleep $1; :' sh $1 & exit 0")
      _ = run.main.wait()
      #expect(eventually { run.alive == 2 })
      ProcessTree.endStrays(sparing: [])
      run.expectGone()
    }

    @Test(.enabled(if: hasWritableCgroup, "needs a writable cgroup")) func inotifyReportsAnEmptyCgroup() throws {
      let run = try Run(.cgroup, "sleep $1")
      let watcher = OwnedDescriptor(inotify_init1(Int32(IN_CLOEXEC)))
      let path = run.container.eventsPath ?? ""
      #expect(inotify_add_watch(watcher.rawValue, path, UInt32(IN_MODIFY)) >= 0)
      var request = pollfd(fd: watcher.rawValue, events: Int16(POLLIN), revents: 0)
      #expect(poll(&request, 1, 0) == 0)
      run.container.kill()
      #expect(poll(&request, 1, 5000) == 1)
      #expect(isEmpty(&run.container))
      run.expectGone()
    }

    @Test(.enabled(if: hasWritableCgroup, "needs a writable cgroup")) func cgroupsBelowARunAreRemovedWithIt() throws {
      let run = try Run(.cgroup, "sleep $1; :")
      let below = run.container.path + "/a"
      mkdir(below, 0o755)
      mkdir(below + "/b", 0o755)
      _ = system("echo \(run.main.pid) >\(below)/b/cgroup.procs")
      #expect(!run.container.remove())
      #expect(!isEmpty(&run.container))
      run.container.terminate()
      run.expectGone()
    }

    @Test(.enabled(if: isRoot && sd_booted() > 0, "needs root and systemd")) func systemdDelegatesACgroup() throws {
      guard case .cgroups(let root) = Containment.establish() else {
        Issue.record("\(Containment.establish())")
        return
      }
      #expect(CgroupRoot.current() == root)
      #expect(root.isDelegated && root.isWritable)
      #expect(root.name.hasSuffix("journalhook-\(getpid()).scope") || root.name.hasSuffix(".service"))
      var container = try Containment.cgroups(root).makeContainer(
        runID: "one", attempt: 1, stateDirectory: "/nonexistent")
      let process = try shell("setsid sleep 600 & sleep 600", in: &container) { _ in }
      #expect(!isEmpty(&container))
      container.kill()
      #expect(process.wait() == .signal(SIGKILL))
      #expect(eventually { container.remove() })
      guard case .cgroups(let again) = Containment.establish() else {
        Issue.record("the scope is not recognized again")
        return
      }
      #expect(again == root)
    }

    @Test(.enabled(if: sd_booted() == 0, "needs a system without systemd")) func withoutSystemdThereAreProcessTrees()
      throws
    {
      guard case .processTrees(let reason) = Containment.establish() else {
        Issue.record("a cgroup that nobody gave us")
        return
      }
      #expect(reason.contains("is not delegated to journalhook"))
      let container = try Containment.processTrees(reason: "").makeContainer(
        runID: "one", attempt: 1, stateDirectory: "/nonexistent")
      #expect(container.path == "tree:one")
    }

    @Test(.enabled(if: hasWritableCgroup, "needs a writable cgroup")) func onlyRunsCanBeRestored() throws {
      let root = try #require(CgroupRoot.current())
      for path in [
        "", "tree:", "/", "/etc", "/etc/journalhook-run-1", root.path, root.mount.point, root.path + "/other",
        root.path + "/journalhook-run-1/below", root.path + "/../journalhook-run-1", "journalhook-run-1",
      ] {
        #expect(throws: SystemError.self, "\(path)") {
          _ = try RunContainer(restoring: path, stateDirectory: "/nonexistent")
        }
      }
      var gone = try RunContainer(restoring: root.path + "/journalhook-run-none", stateDirectory: "/x")
      gone.kill()
      #expect(isEmpty(&gone))
      for id in ["", "a/b", "..\n", "é"] { #expect(throws: SystemError.self) { _ = try root.makeRun(id: id) } }
    }
  }
}

@Suite struct CgroupMountTests {
  @Test func theMountIsFoundAmongOthers() throws {
    let hybrid = """
      31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
      40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:9 master:2 - cgroup cgroup rw,name=systemd
      41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw
      """
    let mount = try #require(CgroupMount(mountInfo: hybrid))
    #expect(mount.point == "/sys/fs/cgroup/uni fied")
    #expect(mount.path(of: "/") == mount.point)
    #expect(mount.path(of: "/a/b") == mount.point + "/a/b")
    #expect(mount.path(of: "/../a") == nil, "outside of the namespace")
    #expect(mount.name(of: mount.point + "/a/b") == "/a/b")
    #expect(mount.name(of: mount.point) == nil)
    #expect(mount.name(of: "/sys/fs/cgroup/systemd/a") == nil)
    #expect(CgroupMount(mountInfo: "40 31 0:37 / /sys/fs/cgroup rw - cgroup cgroup rw") == nil)
  }

  @Test func aBindMountShowsAPartOfTheHierarchy() throws {
    let mount = try #require(CgroupMount(mountInfo: "1 2 0:3 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw"))
    #expect(mount.path(of: "/docker/x") == "/sys/fs/cgroup")
    #expect(mount.path(of: "/docker/x/a") == "/sys/fs/cgroup/a")
    #expect(mount.path(of: "/docker/xy") == nil)
    #expect(mount.name(of: "/sys/fs/cgroup/a") == "/docker/x/a")
  }
}

/// The macros of Swift Testing do not accept mutating calls.
private func isEmpty(_ container: inout RunContainer) -> Bool { container.isEmpty() }
