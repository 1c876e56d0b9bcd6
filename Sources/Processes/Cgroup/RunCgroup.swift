import CSpawn
import Glibc
package import Systemd

/// The cgroup of one run. All processes that the hook starts are in it, and cannot leave it.
package struct RunCgroup: Hashable, Sendable {
  static let prefix = "journalhook-run-"

  /// The directory of the cgroup. The ledger stores this path.
  package let path: String
  /// The name of the cgroup in /proc/PID/cgroup.
  private let name: String

  init(path: String, name: String) {
    self.path = path
    self.name = name
  }

  /// Restores the cgroup that an earlier process made. It may no longer exist.
  ///
  /// - Throws: `EINVAL` if the path is not that of a run's cgroup in the mounted hierarchy, so that a wrong entry in the ledger
  ///   does not end other processes.
  package init(restoring path: String, mount: CgroupMount? = .current()) throws(SystemError) {
    guard let name = mount?.name(of: path), let last = path.split(separator: "/").last, last.hasPrefix(Self.prefix),
      last.utf8.allSatisfy(Self.isNameByte)
    else { throw SystemError("restore a run's cgroup", path: path, code: EINVAL) }
    self.init(path: path, name: name)
  }

  static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
      true
    default: false
    }
  }

  /// Opens the directory for `SpawnRequest.cgroup`, so that a process is in the cgroup before its first instruction.
  package func openDirectory() throws(SystemError) -> OwnedDescriptor {
    try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY)
  }

  /// The file that changes (inotify's IN_MODIFY) when the last process has ended.
  package var eventsPath: String { path + "/cgroup.events" }

  /// Whether a process is alive in the cgroup or below it; false if the cgroup does not exist.
  package var isPopulated: Bool {
    readText(eventsPath)?.split(separator: "\n").contains("populated 1") ?? false
  }

  /// Sends a signal to all processes in the cgroup.
  package func signal(_ signal: Int32) {
    var done: Set<ProcessID> = []
    // Processes that are forked meanwhile get the signal, too, but there is no endless race with them: that needs `kill`.
    for _ in 0..<3 {
      let new = processes.filter { done.insert($0).inserted }
      if new.isEmpty { return }
      for pid in new { send(signal, to: pid) }
    }
  }

  /// Kills all processes in the cgroup at once.
  package func kill() {
    // cgroup.kill exists since Linux 5.14, and does not work in a threaded cgroup.
    if !write("1", to: "cgroup.kill") { freezeAndKill() }
  }

  /// Kills all processes without cgroup.kill. A frozen process cannot fork, but can be killed.
  package func freezeAndKill() {
    _ = write("1", to: "cgroup.freeze")
    // Freezing and killing take a moment. A process that is still listed was forked meanwhile, or is ending.
    for _ in 0..<100 {
      let left = processes
      if left.isEmpty { break }
      for pid in left { send(SIGKILL, to: pid) }
    }
    _ = write("0", to: "cgroup.freeze")
  }

  /// Removes the cgroup and all cgroups that the hook made below it.
  ///
  /// - Returns: whether the cgroup is gone. While the last processes are ending it is not, and this has to be tried again.
  package func remove() -> Bool {
    Self.remove(path)
  }

  private var processes: [ProcessID] { Self.processes(in: path, recursive: true) }

  private func send(_ signal: Int32, to pid: ProcessID) {
    let number = cspawn_pidfd_open(pid)
    guard number >= 0 else { return }
    let pidfd = OwnedDescriptor(number)
    // The pid may belong to another process since it was listed. But the pidfd refers to one process for good: if the process
    // with this pid is in the cgroup now, either it is that of the pidfd, or that one has ended and receives no signal.
    guard let now = cgroupName(of: String(pid)), now == name || now.hasPrefix(name + "/") else { return }
    _ = cspawn_pidfd_signal(pidfd.rawValue, signal)
  }

  private func write(_ text: String, to file: String) -> Bool {
    guard let file = try? OwnedDescriptor.open(path + "/" + file, O_WRONLY) else { return false }
    return unsafe Glibc.write(file.rawValue, text, text.utf8.count) == text.utf8.count
  }

  static func processes(in path: String, recursive: Bool = false) -> [ProcessID] {
    var found: [ProcessID] = []
    var directories = [path]
    while let directory = directories.popLast() {
      // 0 stands for a process outside of our pid namespace.
      found += (readText(directory + "/cgroup.procs") ?? "").split(separator: "\n").compactMap { ProcessID($0) }.filter
      {
        $0 > 0
      }
      if recursive { directories += children(of: directory) }
    }
    return found
  }

  private static func children(of path: String) -> [String] {
    guard let directory = try? OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY),
      let names = try? listDirectory(directory.rawValue)
    else { return [] }
    return names.filter { name in
      var status = stat()
      return unsafe fstatat(directory.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0
        && status.st_mode & S_IFMT == S_IFDIR
    }.map { path + "/" + $0 }
  }

  private static func remove(_ path: String) -> Bool {
    if unsafe rmdir(path) == 0 || errno == ENOENT { return true }
    let below = children(of: path)
    if below.isEmpty { return false }
    for child in below where !remove(child) { return false }
    return unsafe rmdir(path) == 0 || errno == ENOENT
  }
}
