internal import CSystemd
internal import Glibc
package import Systemd

/// The directories in which libsystemd watches for journal files (sd-journal.c).
package enum JournalDirectories {
  private static let roots = ["/run/log/journal", "/var/log/journal"]

  /// - Parameter files: the files that are read, where the source is a directory or files.
  static func of(_ source: Journal.Source, files: [String]) -> Set<String> {
    switch source {
    case .files: Set(files.map(parent))
    case .directory(let directory): Set(files.map(parent)).union([directory])
    case .system, .currentUser: local(suffix: "")
    case .namespace(let name):
      // `*` and `+NAME` are of several, of which the machine's own is there in any case.
      local(suffix: name == "*" || name.hasPrefix("+") ? "" : ".\(name)")
    }
  }

  private static func local(suffix: String) -> Set<String> {
    let machine = try? Id128.machine()
    return Set(roots + roots.flatMap { root in machine.map { ["\(root)/\($0)\(suffix)"] } ?? [] })
  }

  private static func parent(of path: String) -> String {
    let directory = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
    return directory.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : String(directory)
  }

  /// Whether libsystemd's inotify instance has as many watches as there are directories.
  package static func areWatched(_ directories: Set<String>, by descriptor: CInt) -> Bool {
    let identities = directories.compactMap { directory -> [UInt64]? in
      var status = stat()
      guard unsafe access(directory, R_OK) == 0, unsafe stat(directory, &status) == 0 else { return nil }
      return [UInt64(status.st_dev), UInt64(status.st_ino)]
    }
    // A line "inotify wd:1 ino:…" for each; see proc_pid_fdinfo(5).
    let watches = readText("/proc/self/fdinfo/\(descriptor)")?.split(separator: "\n").count { $0.hasPrefix("inotify ") }
    return watches.map { $0 >= Set(identities).count } ?? false
  }

  /// Asks the kernel for a watch on each of them, those that are missing left out, and gives the watches back.
  package static func probe(_ directories: Set<String>) throws(SystemError) {
    let inotify = OwnedDescriptor(try SystemError.checkErrno(inotify_init1(CInt(IN_CLOEXEC)), "watch directories"))
    for directory in directories {
      let watch = unsafe inotify_add_watch(inotify.rawValue, directory, UInt32(IN_DELETE_SELF | IN_ONLYDIR))
      if watch < 0, ![ENOENT, ENOTDIR, EACCES].contains(errno) { throw SystemError("watch", path: directory) }
    }
  }
}

extension SystemError {
  /// Whether it is about watching files, rather than about the files.
  package var isAboutWatching: Bool {
    operation.hasPrefix("watch") || [EMFILE, ENFILE, ENOMEM, ENOSPC].contains(code)
  }

  /// What to do if a program cannot watch files (inotify(7)).
  package var watchRemedy: String {
    switch code {
    case ENOSPC: "Raise fs.inotify.max_user_watches (sysctl)."
    case EMFILE: "Raise fs.inotify.max_user_instances (sysctl), or LimitNOFILE= of journalhook.service."
    case ENFILE: "Raise fs.file-max (sysctl)."
    case ENOMEM: "The system is out of memory."
    case EPERM, EACCES, ENOSYS:
      "Allow inotify_init1(2) and inotify_add_watch(2): a filter of system calls (SystemCallFilter=, a container's) forbids them."
    default: "journalhook needs inotify(7) to notice changes at once."
    }
  }
}
