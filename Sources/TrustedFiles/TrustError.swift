import Glibc
package import Systemd

/// Why a file is not trusted: the part of its path that is at fault, what is wrong with it, and what to do.
package struct TrustError: Error, Hashable, Sendable {
  /// What is wrong with a file or directory.
  package enum Problem: Hashable, Sendable {
    case notAbsolute
    case notFound
    /// A system call failed with another `errno`, such as EACCES.
    case unreadable(Int32)
    case owner(UInt32)
    case writable(mode: UInt32)
    case setID(mode: UInt32)
    case notDirectory
    case notRegularFile
    case notExecutable
    /// The `#!` line ends with CR LF, so that the kernel takes the CR for a part of the interpreter's name.
    case carriageReturn
    case tooManyLinks
    case tooLarge(limit: Int)
  }

  /// The path that the caller asked for.
  package let path: String
  /// The file or directory that is at fault: a part of the path, or of a path to which its symbolic links lead.
  package let component: String
  /// What is wrong with the component.
  package let problem: Problem

  package init(path: String, component: String, problem: Problem) {
    self.path = path
    self.component = component
    self.problem = problem
  }

  package init(path: String, component: String, _ error: SystemError) {
    let problem: Problem =
      switch error.code {
      case ENOENT: .notFound
      case ENOTDIR: .notDirectory
      case ELOOP: .tooManyLinks
      default: .unreadable(error.code)
      }
    self.init(path: path, component: component, problem: problem)
  }

  /// A command or an advice that solves the problem; nil where the problem itself says what to do.
  package var remedy: String? {
    switch problem {
    // The owner of a home directory must not change: the hook is in the wrong place.
    case .owner(let uid) where isHome(of: uid): "use a directory that belongs to root, such as /etc/journalhook/hooks.d"
    case .owner: "chown \(geteuid() == 0 ? "root:root" : "root") \(component)"
    // The mode of a sticky directory such as /tmp must not change: the hook is in the wrong place.
    case .writable(let mode) where mode & 0o1000 != 0:
      "use a directory that only root can write to, such as /etc/journalhook/hooks.d"
    // The mode of a device such as /dev/zero must not change.
    case .writable(let mode) where ![S_IFREG, S_IFDIR].contains(mode & S_IFMT): "use a regular file"
    case .writable: "chmod go-w \(component)"
    case .setID: "chmod ug-s \(component)"
    case .notExecutable: "chmod +x \(component)"
    case .carriageReturn: "sed -i 's/\\r$//' \(component)"
    case .unreadable(EACCES): "let the user that journalhook runs as read it"
    case .unreadable(EMFILE): "raise LimitNOFILE= of journalhook.service, or ulimit -n"
    case .unreadable(ENFILE): "raise fs.file-max with sysctl(8)"
    case .notAbsolute: "write an absolute path"
    case .notFound, .unreadable, .notDirectory, .notRegularFile, .tooManyLinks, .tooLarge: nil
    }
  }
}

extension TrustError {
  /// Whether the component at fault is the home directory of a user, or below it.
  private func isHome(of uid: UInt32) -> Bool {
    guard let entry = unsafe getpwuid(uid) else { return false }
    let home = unsafe String(cString: entry.pointee.pw_dir)
    return home.utf8.count > 1 && (component == home || component.hasPrefix(home + "/"))
  }
}

extension TrustError: CustomStringConvertible {
  private var fault: String {
    switch problem {
    case .notAbsolute: "is not an absolute path"
    case .notFound: "does not exist"
    case .unreadable(let code): "cannot be opened: \(SystemError("", code: code).reason)"
    case .owner(let uid): "is owned by uid \(uid), and not by \(geteuid() == 0 ? "root" : "root or uid \(geteuid())")"
    case .writable(let mode): "is writable by others (mode \(Self.octal(mode)))"
    case .setID(let mode): "is setuid or setgid (mode \(Self.octal(mode)))"
    case .notDirectory: "is not a directory"
    case .notRegularFile: "is not a regular file"
    case .notExecutable: "is not executable"
    case .carriageReturn: "has a carriage return at the end of its #! line"
    case .tooManyLinks: "leads through too many symbolic links"
    case .tooLarge(let limit): "is larger than \(limit) bytes"
    }
  }

  package var description: String {
    let subject = component == path ? path : "\(path): \(component)"
    return "\(subject) \(fault)" + (remedy.map { "; remedy: \($0)" } ?? "")
  }

  private static func octal(_ mode: UInt32) -> String {
    let digits = String(mode & 0o7777, radix: 8)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }
}

extension TrustError {
  /// Whether the file exists and may not be trusted. A hook with such a file is `refused`; with any other problem it is
  /// `broken`.
  package var isRefusal: Bool {
    switch problem {
    case .owner, .writable, .setID, .notRegularFile: true
    case .notAbsolute, .notFound, .unreadable, .notDirectory, .notExecutable, .carriageReturn, .tooManyLinks, .tooLarge:
      false
    }
  }

  /// The first words of a message about the error.
  package var verdict: String { isRefusal ? "refused" : "cannot be used" }

  /// Whether the same call may succeed a moment later, as after a lack of descriptors or memory.
  package var isTemporary: Bool {
    if case .unreadable(let code) = problem { SystemError.isTemporary(code) } else { false }
  }
}
