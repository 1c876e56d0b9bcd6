import CSpawn
import Glibc
package import Systemd

/// The cgroup of one run: whatever a hook starts is in it, and cannot leave it.
package struct RunCgroup: Hashable, Sendable {
  static let prefix = "journalhook-run-"

  /// Its directory, which is what a ledger keeps.
  package let path: String
  /// Its name in /proc/PID/cgroup.
  private let name: String

  init(path: String, name: String) {
    self.path = path
    self.name = name
  }

  /// Takes up the cgroup that an earlier process made, which may be gone by now.
  ///
  /// What a ledger says is believed only if it is the name of a run's cgroup in the hierarchy that is mounted.
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

  /// To be lent to a spawn, so that the process joins before its first instruction.
  package func openDirectory() throws(SystemError) -> OwnedDescriptor {
    try OwnedDescriptor.open(path, O_RDONLY | O_DIRECTORY)
  }

  /// The file that changes (inotify IN_MODIFY) when the last process has ended.
  package var eventsPath: String { path + "/cgroup.events" }

  /// Whether a process is alive in it or below it; not if it is gone.
  package var isPopulated: Bool {
    readText(eventsPath)?.split(separator: "\n").contains("populated 1") ?? false
  }

  /// Sends a signal to all that is in it.
  package func signal(_ signal: Int32) {
    var done: Set<ProcessID> = []
    // What is forked meanwhile gets it too; but a signal is a request, and what races ahead for ever needs `kill`.
    for _ in 0..<3 {
      let new = processes.filter { done.insert($0).inserted }
      if new.isEmpty { return }
      for pid in new { send(signal, to: pid) }
    }
  }

  /// Ends all that is in it, at once, whatever it is doing.
  package func kill() {
    // Not before Linux 5.14, nor where a process made it a threaded one.
    if !write("1", to: "cgroup.kill") { freezeAndKill() }
  }

  /// The same on older kernels. What is frozen cannot fork, but can be killed.
  package func freezeAndKill() {
    _ = write("1", to: "cgroup.freeze")
    // Freezing takes a moment, and so does ending; whatever is still listed was forked meanwhile, or is on its way out.
    for _ in 0..<100 {
      let left = processes
      if left.isEmpty { break }
      for pid in left { send(SIGKILL, to: pid) }
    }
    _ = write("0", to: "cgroup.freeze")
  }

  /// Removes it with what a hook made below it.
  ///
  /// - Returns: whether it is gone. While the last processes are still ending it is not, and it is to be tried again.
  package func remove() -> Bool {
    Self.remove(path)
  }

  private var processes: [ProcessID] { Self.processes(in: path, recursive: true) }

  private func send(_ signal: Int32, to pid: ProcessID) {
    let number = cspawn_pidfd_open(pid)
    guard number >= 0 else { return }
    let pidfd = OwnedDescriptor(number)
    // The number may have gone to another process since it was listed. The descriptor stays with this one, so if the
    // number is in the cgroup now, either so is this one, or it has ended and the signal reaches nobody.
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
      // 0 stands for a process that our pid namespace does not have.
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
