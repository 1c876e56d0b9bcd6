import Glibc
package import Systemd

/// The attributes of a file by which a later version of it, or another file in its place, is recognized.
///
/// The device number is not among them, because overlay file systems change it while the file stays the same. The change time
/// in nanoseconds makes it unnecessary.
package struct FileIdentity: Hashable, Sendable {
  /// A time stamp of the file system.
  package struct Time: Hashable, Sendable {
    package let seconds: Int
    package let nanoseconds: Int

    init(_ time: timespec) {
      seconds = time.tv_sec
      nanoseconds = time.tv_nsec
    }
  }

  /// The inode number.
  package let inode: UInt64
  /// The time of the last change of content or attributes (ctime).
  package let changed: Time
  /// The time of the last change of content (mtime).
  package let modified: Time
  /// The size in bytes.
  package let size: Int64
  /// The type and the mode bits.
  package let mode: UInt32

  /// All attributes as a text, for comparison with the identity that another process has read.
  package var text: String {
    "\(inode) \(changed.seconds).\(changed.nanoseconds) \(modified.seconds).\(modified.nanoseconds) \(size) \(mode)"
  }

  init(_ status: stat) {
    inode = UInt64(status.st_ino)
    changed = Time(status.st_ctim)
    modified = Time(status.st_mtim)
    size = Int64(status.st_size)
    mode = status.st_mode
  }
}

/// An open regular file that only root and our own user can change.
///
/// Executing its descriptor executes the file that was checked, even if the path has changed since.
package struct TrustedFile: ~Copyable, Sendable {
  /// What the file is opened for.
  package enum Purpose: Sendable {
    case reading
    /// The descriptor has O_PATH: the content cannot be read, but programs can be opened that we may execute and not read.
    case executing
  }

  /// The descriptor: for reading, or with O_PATH for executing.
  package let descriptor: OwnedDescriptor
  /// The path without symbolic links.
  package let path: String
  /// The attributes of the file when it was opened.
  package let identity: FileIdentity
  /// Whether any of the execute bits is set.
  package var isExecutable: Bool { identity.mode & 0o111 != 0 }

  /// Opens a file, and checks every part of its path.
  package static func open(_ path: String, for purpose: Purpose = .reading) throws(TrustError) -> TrustedFile {
    guard path.hasPrefix("/") else { throw TrustError(path: path, component: path, problem: .notAbsolute) }
    return try TrustedFile(asked: path, try TrustedWalk(for: path).follow(path), for: purpose)
  }

  init(asked: String, _ end: consuming TrustedWalk.End, for purpose: Purpose) throws(TrustError) {
    let path = end.path
    func refuse(_ problem: TrustError.Problem) -> TrustError {
      TrustError(path: asked, component: path, problem: problem)
    }
    // Opening another kind of file, such as a FIFO or a device, could block or have side effects.
    guard end.status.st_mode & S_IFMT == S_IFREG else { throw refuse(.notRegularFile) }
    // To be read, the file has to be opened once more by its name, in a directory that only trusted users can change. The
    // check below is of the file that this opens. To be executed, the O_PATH descriptor is enough.
    let opened: OwnedDescriptor
    do {
      opened =
        if purpose == .reading {
          try OwnedDescriptor.open(end.name, in: end.directory.rawValue, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        } else {
          try end.descriptor.duplicate()
        }
    } catch {
      throw TrustError(path: asked, component: path, error)
    }
    var status = stat()
    guard unsafe fstat(opened.rawValue, &status) == 0 else {
      throw TrustError(path: asked, component: path, SystemError("fstat"))
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw refuse(.notRegularFile) }
    try TrustedWalk.check(status, asked: asked, component: path)
    if status.st_mode & (S_ISUID | S_ISGID) != 0 { throw refuse(.setID(mode: status.st_mode)) }
    descriptor = opened
    self.path = path
    identity = FileIdentity(status)
  }

  /// Whether nobody has written to the file, changed its mode or unlinked it since it was opened.
  package var isUnchanged: Bool {
    var status = stat()
    return unsafe fstat(descriptor.rawValue, &status) == 0 && FileIdentity(status) == identity
  }

  /// The whole content.
  ///
  /// - Parameter limit: the largest size that is accepted, in bytes.
  /// - Throws: `tooLarge` if the file is larger.
  package func readAll(limit: Int) throws(TrustError) -> [UInt8] {
    let bytes: [UInt8]
    do { bytes = try descriptor.read(limit: limit + 1) } catch {
      throw TrustError(path: path, component: path, error)
    }
    if bytes.count > limit { throw TrustError(path: path, component: path, problem: .tooLarge(limit: limit)) }
    return bytes
  }
}
