import CSpawn
import Glibc
package import Systemd

/// A mounted cgroup2 hierarchy: how names in it, as /proc tells them, become paths.
package struct CgroupMount: Hashable, Sendable {
  /// Where it is mounted, as "/sys/fs/cgroup".
  package let point: String
  /// What part of the hierarchy is seen there; "/" but for bind mounts.
  package let root: String

  /// Finds it in the text of /proc/self/mountinfo. In the hybrid layout it is one among many.
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

  package static func current() -> CgroupMount? {
    readText("/proc/self/mountinfo").flatMap(CgroupMount.init(mountInfo:))
  }

  /// The directory of a cgroup; nil if it is outside of what is mounted.
  package func path(of name: String) -> String? {
    guard name.hasPrefix("/"), !name.split(separator: "/").contains("..") else { return nil }
    if root == "/" { return name == "/" ? point : point + name }
    guard name == root || name.hasPrefix(root + "/") else { return nil }
    return point + name.dropFirst(root.count)
  }

  /// The name of the cgroup whose directory this is, as /proc/PID/cgroup has it.
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

/// The cgroup that the daemon is in, below which each run gets one of its own.
///
/// The daemon itself stays where it is: a cgroup may hold processes and children as long as no controller is enabled for
/// the children, and none is.
package struct CgroupRoot: Hashable, Sendable {
  package let mount: CgroupMount
  /// As in /proc/self/cgroup: "/system.slice/journalhook.service".
  package let name: String
  package let path: String

  /// Our own cgroup now; nil without a cgroup2 hierarchy that shows it.
  package static func current() -> CgroupRoot? {
    guard let mount = CgroupMount.current(), let name = cgroupName(of: "self"), let path = mount.path(of: name) else {
      return nil
    }
    return CgroupRoot(mount: mount, name: name, path: path)
  }

  /// Whether runs can have cgroups here: directories can be made, and processes be moved out of it into those.
  package var isWritable: Bool {
    unsafe access(path, W_OK) == 0 && access(path + "/cgroup.procs", W_OK) == 0
  }

  /// Whether systemd has given it to us to divide, which it marks since version 236.
  package var isDelegated: Bool {
    if holdsOthers { return false }
    for attribute in ["trusted.delegate", "user.delegate"] {
      var value: UInt8 = 0
      if unsafe getxattr(path, attribute, &value, 1) == 1 { return value == UInt8(ascii: "1") }
      // A manager that is too old for the mark, or a mark that only root may see: then the directory's owner tells.
      if errno != ENODATA && errno != ENOTSUP && errno != EPERM { return false }
    }
    var status = stat()
    guard geteuid() != 0, unsafe stat(path, &status) == 0 else { return false }
    return status.st_uid == geteuid()
  }

  /// Whether other processes than ours are in it, as in a login session, where dividing it would be meddling.
  package var holdsOthers: Bool {
    name == "/" || RunCgroup.processes(in: path).contains { $0 != getpid() }
  }

  /// Makes the cgroup of a run.
  ///
  /// - Parameter id: letters, digits, "-", "_" and "."; it has to be new for each attempt.
  package func makeRun(id: String) throws(SystemError) -> RunCgroup {
    let path = path + "/" + RunCgroup.prefix + id
    guard !id.isEmpty, id.utf8.allSatisfy(RunCgroup.isNameByte) else {
      throw SystemError("make a cgroup", path: path, code: EINVAL)
    }
    let cgroup = RunCgroup(path: path, name: (name == "/" ? "" : name) + "/" + RunCgroup.prefix + id)
    if unsafe mkdir(path, 0o755) != 0 {
      // One that is there and empty was made by a daemon that died before it used it.
      guard errno == EEXIST, !cgroup.isPopulated, cgroup.remove() else {
        throw SystemError("make a cgroup", path: path)
      }
      try SystemError.checkErrno(unsafe mkdir(path, 0o755), "make a cgroup", path: path)
    }
    return cgroup
  }
}
