import Glibc

/// Shows standard output in a pager, as journalctl does: $SYSTEMD_PAGER, $PAGER, or the first of pager, less and more.
struct Pager {
  private let pid: pid_t

  /// Starts the pager; nil if standard output is not a terminal, or no pager is wanted or found.
  init?() {
    guard isatty(STDOUT_FILENO) == 1, Console.terminalName != "dumb", let command = Pager.command() else { return nil }
    // Evaluated now, because from below on standard output is a pipe and no longer the terminal.
    _ = Console.hasColor
    var ends: [CInt] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    for (name, given, value) in [("LESS", "SYSTEMD_LESS", "FRSXMK"), ("LESSCHARSET", "SYSTEMD_LESSCHARSET", "utf-8")] {
      unsafe setenv(name, unsafe getenv(given).map { unsafe String(cString: $0) } ?? value, 1)
    }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
    var arguments = unsafe (["sh", "-c", command] as [String]).map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
    var pid: pid_t = 0
    let status = unsafe posix_spawn(&pid, "/bin/sh", &actions, nil, &arguments, environ)
    close(ends[0])
    guard status == 0 else {
      close(ends[1])
      return nil
    }
    self.pid = pid
    dup2(ends[1], STDOUT_FILENO)
    close(ends[1])
    // Ctrl-C is for the pager. When the pager has ended, writing fails with EPIPE, and the process exits.
    signal(SIGINT, SIG_IGN)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Closes standard output, and waits until the pager has ended.
  func wait() {
    close(STDOUT_FILENO)
    var status: CInt = 0
    while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
  }

  private static func command() -> String? {
    for name in ["SYSTEMD_PAGER", "PAGER"] {
      guard let value = unsafe getenv(name) else { continue }
      let command = unsafe String(cString: value)
      return command.isEmpty || command == "cat" ? nil : command
    }
    let directories = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
    return ["pager", "less", "more"].first { name in
      directories.split(separator: ":").contains { unsafe access("\($0)/\(name)", X_OK) == 0 }
    }
  }
}
