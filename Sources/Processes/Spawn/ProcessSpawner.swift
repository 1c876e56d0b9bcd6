import CSpawn
import Glibc
package import Systemd

/// `pid_t`. With this name, other rooms need not import the C module of `pid_t`.
package typealias ProcessID = Int32

/// The properties of a process to be created. All descriptors are borrowed: the caller keeps their ownership.
package struct SpawnRequest: Sendable {
  /// The user and the groups of a process.
  package struct Identity: Hashable, Sendable {
    /// The user id.
    package var user: UInt32
    /// The group id.
    package var group: UInt32
    /// The ids of the supplementary groups.
    package var supplementaryGroups: [UInt32]

    package init(user: UInt32, group: UInt32, supplementaryGroups: [UInt32]) {
      self.user = user
      self.group = group
      self.supplementaryGroups = supplementaryGroups
    }
  }

  /// The program, open.
  package var executable: Int32
  /// If the executable is a copy, the file of which it is one. The process must have the right to execute this file.
  package var original: Int32?
  /// The name of the process until it executes its program, at most 15 bytes.
  package var name = ""
  /// The arguments, of which the first is the program's name. A script does not see that one: its `$0` is /dev/fd/3.
  package var arguments: [String]
  /// The variables of the environment. All others are unset.
  package var environment: [(String, String)] = []
  /// The descriptor that becomes standard input.
  package var standardInput: Int32
  /// The descriptor that becomes standard output.
  package var standardOutput: Int32
  /// The descriptor that becomes standard error.
  package var standardError: Int32
  /// The directory of the cgroup to join, open.
  package var cgroup: Int32?
  /// The directory in which the process starts, open; nil for the daemon's own.
  package var workingDirectory: Int32?
  /// The file mode creation mask.
  package var umask: UInt32 = 0o022
  /// The nice level; nil for the daemon's own.
  package var nice: Int32?
  /// The soft limit of open descriptors; nil for the daemon's own. That one may be higher than the 1024 descriptors with which
  /// select(2) works.
  package var descriptorLimit: UInt64? = 1024
  /// The user and groups; nil for the daemon's own.
  package var identity: Identity?
  /// Whether the process and its descendants can gain no privileges by execve(2), as with setuid programs.
  package var noNewPrivileges = false

  package init(
    executable: Int32, arguments: [String], standardInput: Int32, standardOutput: Int32, standardError: Int32
  ) {
    self.executable = executable
    self.arguments = arguments
    self.standardInput = standardInput
    self.standardOutput = standardOutput
    self.standardError = standardError
  }
}

/// A process that we have created. The owner of this value has to wait for its end.
package struct SpawnedProcess: ~Copyable, Sendable {
  /// The process id.
  package let pid: ProcessID
  /// A pidfd (pidfd_open(2)), which becomes readable when the process ends.
  package let pidfd: OwnedDescriptor
}

/// Creates a process, which takes about 0.15 ms. Returns when the process has executed its program.
///
/// - Throws: `SpawnError` if the process could not be created, or could not execute its program.
package func spawn(_ request: SpawnRequest) throws(SpawnError) -> SpawnedProcess {
  let arguments = CStrings(request.arguments)
  let environment = CStrings(request.environment.lazy.map { "\($0)=\($1)" })
  var result = cspawn_result()

  unsafe arguments.withPointers { argv in
    unsafe environment.withPointers { envp in
      unsafe (request.identity?.supplementaryGroups ?? []).withUnsafeBufferPointer { groups in
        var raw = unsafe cspawn_request()
        unsafe raw.executable = request.executable
        unsafe raw.original = request.original ?? -1
        unsafe withUnsafeMutableBytes(of: &raw.name) { bytes in
          unsafe bytes.dropLast().copyBytes(from: request.name.utf8.prefix(bytes.count - 1))
        }
        unsafe raw.argv = argv
        unsafe raw.envp = envp
        unsafe raw.stdio = (request.standardInput, request.standardOutput, request.standardError)
        unsafe raw.cgroup = request.cgroup ?? -1
        unsafe raw.directory = request.workingDirectory ?? -1
        unsafe raw.umask = request.umask
        unsafe raw.set_nice = request.nice != nil
        unsafe raw.nice = request.nice ?? 0
        unsafe raw.descriptors = request.descriptorLimit.map { rlim_t($0) } ?? 0
        if let identity = request.identity {
          unsafe raw.set_ids = true
          unsafe raw.uid = identity.user
          unsafe raw.gid = identity.group
          unsafe raw.groups = groups.baseAddress
          unsafe raw.group_count = groups.count
        }
        unsafe raw.no_new_privileges = request.noNewPrivileges
        _ = unsafe cspawn(&raw, &result)
      }
    }
  }
  guard let step = SpawnError.Step(result.step) else {
    return SpawnedProcess(pid: result.pid, pidfd: OwnedDescriptor(result.pidfd))
  }
  throw SpawnError(step: step, code: result.error)
}

/// Strings in the form of execve(2)'s arguments: one block of bytes, and a list of pointers into it that ends with a null.
private struct CStrings {
  private var bytes: [CChar] = []
  private var offsets: [Int] = []

  init(_ strings: some Sequence<String>) {
    for string in strings {
      offsets.append(bytes.count)
      // An argument cannot contain NUL. The NUL is left out, so that at least the bytes after it are passed.
      for byte in string.utf8 where byte != 0 { bytes.append(CChar(bitPattern: byte)) }
      bytes.append(0)
    }
  }

  func withPointers(_ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Void) {
    var bytes = bytes
    unsafe bytes.withUnsafeMutableBufferPointer { buffer in
      var pointers: [UnsafeMutablePointer<CChar>?] = unsafe []
      for offset in offsets { unsafe pointers.append(buffer.baseAddress.map { unsafe $0 + offset }) }
      unsafe pointers.append(nil)
      unsafe pointers.withUnsafeBufferPointer { list in
        if let base = list.baseAddress { unsafe body(base) }
      }
    }
  }
}
