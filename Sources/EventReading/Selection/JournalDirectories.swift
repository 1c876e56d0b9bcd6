internal import CSystemd
internal import Glibc
package import Systemd

/// The directories that libsystemd watches for journal files (systemd's sd-journal.c).
package enum JournalDirectories {
  private static let roots = ["/run/log/journal", "/var/log/journal"]

  /// The directories for a source.
  ///
  /// - Parameter files: the paths of the journal files, if the source is a directory or files.
  static func of(_ source: Journal.Source, files: [String]) -> Set<String> {
    switch source {
    case .files: Set(files.map(parent))
    case .directory(let directory): Set(files.map(parent)).union([directory])
    case .system, .currentUser: local(suffix: "")
    case .namespace(let name):
      // `*` and `+NAME` select several namespaces, and always the default one, whose directory has no suffix.
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

  /// Whether libsystemd watches all directories: its inotify instance has at least as many watches.
  package static func areWatched(_ directories: Set<String>, by descriptor: CInt) -> Bool {
    let identities = directories.compactMap { directory -> [UInt64]? in
      var status = stat()
      guard unsafe access(directory, R_OK) == 0, unsafe stat(directory, &status) == 0 else { return nil }
      return [UInt64(status.st_dev), UInt64(status.st_ino)]
    }
    // Each watch has a line "inotify wd:1 ino:…" (proc_pid_fdinfo(5)).
    let watches = readText("/proc/self/fdinfo/\(descriptor)")?.split(separator: "\n").count { $0.hasPrefix("inotify ") }
    return watches.map { $0 >= Set(identities).count } ?? false
  }

  /// Checks that the kernel can watch the directories that exist: adds a watch for each, and removes all again.
  ///
  /// - Throws: the error of the first directory that cannot be watched.
  package static func probe(_ directories: Set<String>) throws(SystemError) {
    let inotify = OwnedDescriptor(try SystemError.checkErrno(inotify_init1(CInt(IN_CLOEXEC)), "watch directories"))
    for directory in directories {
      let watch = unsafe inotify_add_watch(inotify.rawValue, directory, UInt32(IN_DELETE_SELF | IN_ONLYDIR))
      if watch < 0, ![ENOENT, ENOTDIR, EACCES].contains(errno) { throw SystemError("watch", path: directory) }
    }
  }
}

extension SystemError {
  /// Whether the error is about watching files, and not about the files themselves.
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
      "Allow inotify_init1(2) and inotify_add_watch(2): a system call filter (SystemCallFilter=, or that of a container) forbids them."
    default: "journalhook needs inotify(7) to notice changes at once."
    }
  }
}
