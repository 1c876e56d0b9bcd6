import CSpawn
import Glibc
package import Systemd

/// A mounted cgroup2 hierarchy. It converts the names of cgroups in /proc/PID/cgroup to paths, and back.
package struct CgroupMount: Hashable, Sendable {
  /// The mount point, such as "/sys/fs/cgroup".
  package let point: String
  /// The cgroup that is mounted there; "/" except for bind mounts.
  package let root: String

  /// Finds the hierarchy in the text of /proc/self/mountinfo. In the hybrid layout there are v1 hierarchies besides it.
  package init?(mountInfo: String) {
    for line in mountInfo.split(separator: "\n") {
      // "36 35 98:0 /root /mount/point options [optional fields] - type source options"
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.indices.contains(dash + 1),
        fields[dash + 1] == "cgroup2"
      else { continue }
      root = Self.unescape(fields[3])
      point = Self.unescape(fields[4])
      return
    }
    return nil
  }

  /// The hierarchy that is mounted now; nil if there is none.
  package static func current() -> CgroupMount? {
    readText("/proc/self/mountinfo").flatMap(CgroupMount.init(mountInfo:))
  }

  /// The directory of a cgroup; nil if the cgroup is outside of the mounted part of the hierarchy.
  package func path(of name: String) -> String? {
    guard name.hasPrefix("/"), !name.split(separator: "/").contains("..") else { return nil }
    if root == "/" { return name == "/" ? point : point + name }
    guard name == root || name.hasPrefix(root + "/") else { return nil }
    return point + name.dropFirst(root.count)
  }

  /// The name of the cgroup with that directory, as in /proc/PID/cgroup; nil if the path is not below the mount point.
  package func name(of path: String) -> String? {
    guard path.hasPrefix(point + "/"), !path.split(separator: "/").contains("..") else { return nil }
    return (root == "/" ? "" : root) + path.dropFirst(point.count)
  }

  private static func unescape(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Substring(field).utf8
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), let code = UInt8(String(Substring(rest.prefix(3))), radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// The cgroup of the daemon, below which each run gets a cgroup of its own.
///
/// The daemon itself stays in this cgroup. A cgroup may have both processes and children as long as no controller is enabled
/// for the children (cgroups(7)), and none is.
package struct CgroupRoot: Hashable, Sendable {
  /// The hierarchy that contains the cgroup.
  package let mount: CgroupMount
  /// The name as in /proc/self/cgroup: "/system.slice/journalhook.service".
  package let name: String
  /// The directory of the cgroup.
  package let path: String

  /// The current cgroup of this process; nil if no mounted cgroup2 hierarchy contains it.
  package static func current() -> CgroupRoot? {
    guard let mount = CgroupMount.current(), let name = cgroupName(of: "self"), let path = mount.path(of: name) else {
      return nil
    }
    return CgroupRoot(mount: mount, name: name, path: path)
  }

  /// Whether runs can have cgroups here: we may make directories, and move processes out of this cgroup into them.
  package var isWritable: Bool {
    unsafe access(path, W_OK) == 0 && access(path + "/cgroup.procs", W_OK) == 0
  }

  /// Whether systemd has delegated the cgroup to us. Since version 236 it marks delegated cgroups with an extended attribute.
  package var isDelegated: Bool {
    if hasOtherProcesses { return false }
    for attribute in ["trusted.delegate", "user.delegate"] {
      var value: UInt8 = 0
      if unsafe getxattr(path, attribute, &value, 1) == 1 { return value == UInt8(ascii: "1") }
      // systemd is too old for the attribute, or only root may read it: then the owner of the directory decides.
      if errno != ENODATA && errno != ENOTSUP && errno != EPERM { return false }
    }
    var status = stat()
    guard geteuid() != 0, unsafe stat(path, &status) == 0 else { return false }
    return status.st_uid == geteuid()
  }

  /// Whether there are other processes than ours in the cgroup, as in that of a login session. Then it is not ours to manage.
  package var hasOtherProcesses: Bool {
    name == "/" || RunCgroup.processes(in: path).contains { $0 != getpid() }
  }

  /// Makes the cgroup of a run.
  ///
  /// - Parameter id: letters, digits, "-", "_" and "."; a different one for each attempt.
  package func makeRun(id: String) throws(SystemError) -> RunCgroup {
    let path = path + "/" + RunCgroup.prefix + id
    guard !id.isEmpty, id.utf8.allSatisfy(RunCgroup.isNameByte) else {
      throw SystemError("make a cgroup", path: path, code: EINVAL)
    }
    let cgroup = RunCgroup(path: path, name: (name == "/" ? "" : name) + "/" + RunCgroup.prefix + id)
    if unsafe mkdir(path, 0o755) != 0 {
      // An empty cgroup of this name was made by a daemon that ended before it used the cgroup.
      guard errno == EEXIST, !cgroup.isPopulated, cgroup.remove() else {
        throw SystemError("make a cgroup", path: path)
      }
      try SystemError.checkErrno(unsafe mkdir(path, 0o755), "make a cgroup", path: path)
    }
    return cgroup
  }
}
