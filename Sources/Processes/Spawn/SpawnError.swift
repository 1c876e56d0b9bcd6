import CSpawn
import Glibc
internal import Systemd

/// Why a process could not be created: the step that failed and its `errno`.
package struct SpawnError: Error, Hashable, Sendable {
  /// The steps, in the order in which the new process takes them.
  package enum Step: String, CaseIterable, Sendable {
    case create, session, cgroup, descriptors, nice, limits, groups, group, user, workingDirectory, privileges, execute

    init?(_ step: cspawn_step) {
      // The first C value is CSPAWN_NONE, for which there is no case here.
      let index = Int(step.rawValue) - 1
      guard Self.allCases.indices.contains(index) else { return nil }
      self = Self.allCases[index]
    }
  }

  /// The step that failed.
  package let step: Step
  /// Its `errno`.
  package let code: Int32

  package init(step: Step, code: Int32) {
    self.step = step
    self.code = code
  }

  /// Whether the same attempt may succeed a moment later.
  package var isTemporary: Bool {
    SystemError.isTemporary(code) || code == ETXTBSY
  }

  /// What to do about the error.
  package var remedy: String? {
    switch (step, code) {
    case (_, EAGAIN): "too many processes: raise TasksMax= of journalhook.service or the user's limit (ulimit -u)"
    case (_, ENOMEM): "the system is out of memory"
    case (_, EMFILE), (_, ENFILE): "too many open files: raise LimitNOFILE= of journalhook.service or lower --jobs"
    case (.create, EPERM), (.create, EINVAL), (.create, ENOSYS):
      "journalhook needs Linux 5.3 or later, and no system call filter may forbid clone(2)"
    case (.cgroup, ENOENT), (.cgroup, ENODEV):
      "another program removed the run's cgroup: journalhook.service needs Delegate=yes"
    case (.cgroup, _): "journalhook.service needs Delegate=yes"
    case (.nice, _): "a Nice= below that of journalhook needs root"
    case (.groups, _), (.group, _), (.user, _): "User= and Group= need root, with CAP_SETUID and CAP_SETGID"
    case (.workingDirectory, EACCES): "the user of the hook may not enter WorkingDirectory="
    case (.execute, ENOENT): "the interpreter in its first line does not exist, or /proc or /dev/fd is missing"
    case (.execute, EACCES): "the hook's user may not execute it (chmod a+rx), or its file system is mounted noexec"
    case (.execute, ENOEXEC):
      "it is neither a program for this machine nor a script whose first line names an interpreter, such as #!/bin/sh"
    case (.execute, ETXTBSY): "a program still has it open for writing"
    case (.execute, E2BIG):
      "an argument or variable is longer than 128 KiB, or all together exceed what the stack limit allows"
    case (.execute, ELOOP): "the interpreter in its first line is a script, and so are too many interpreters after it"
    default: nil
    }
  }
}

extension SpawnError: CustomStringConvertible {
  private var action: String {
    switch step {
    case .create: "create a process"
    case .session: "start a session"
    case .cgroup: "join the run's cgroup"
    case .descriptors: "set up standard input and output"
    case .nice: "set Nice="
    case .limits: "set the limit of open files"
    case .groups: "set the supplementary groups"
    case .group: "set Group="
    case .user: "set User="
    case .workingDirectory: "enter WorkingDirectory="
    case .privileges: "forbid new privileges"
    case .execute: "execute it"
    }
  }

  package var description: String { "cannot \(SystemError(action, code: code))" + (remedy.map { "; \($0)" } ?? "") }
}
