import Glibc
package import Systemd

/// What tells whether a file is still the one that was read.
///
/// Not the device: overlay file systems change it for what is the same file. A change time in nanoseconds beside the rest
/// leaves nothing for it to tell.
package struct FileIdentity: Hashable, Sendable {
  package struct Time: Hashable, Sendable {
    package let seconds: Int
    package let nanoseconds: Int

    init(_ time: timespec) {
      seconds = time.tv_sec
      nanoseconds = time.tv_nsec
    }
  }

  package let inode: UInt64
  package let changed: Time
  package let modified: Time
  package let size: Int64
  package let mode: UInt32

  /// All of it, to be compared with that of another process.
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

/// A regular file that nobody but root and our own user can change, held open.
///
/// Executing its descriptor executes what was checked, whatever has become of the path since.
package struct TrustedFile: ~Copyable, Sendable {
  package enum Purpose: Sendable {
    case reading
    /// Not all programs may be read by those who may run them; their content is then out of reach.
    case executing
  }

  package let descriptor: OwnedDescriptor
  /// Without links.
  package let path: String
  package let identity: FileIdentity
  package var isExecutable: Bool { identity.mode & 0o111 != 0 }

  package static func open(_ path: String, for purpose: Purpose = .reading) throws(TrustError) -> TrustedFile {
    guard path.hasPrefix("/") else { throw TrustError(path: path, component: path, problem: .notAbsolute) }
    return try TrustedFile(asked: path, try TrustedWalk(for: path).follow(path), for: purpose)
  }

  init(asked: String, _ end: consuming TrustedWalk.End, for purpose: Purpose) throws(TrustError) {
    let path = end.path
    func refuse(_ problem: TrustError.Problem) -> TrustError {
      TrustError(path: asked, component: path, problem: problem)
    }
    // Opening anything else could block or have effects.
    guard end.status.st_mode & S_IFMT == S_IFREG else { throw refuse(.notRegularFile) }
    // Its name is looked up once more, in a directory that only the trusted can change, so what counts is what that finds,
    // and the check is made again on it. For executing, what was found already is enough.
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

  /// Whether nobody has written to it, changed its mode or replaced it by its name since it was opened.
  package var isUnchanged: Bool {
    var status = stat()
    return unsafe fstat(descriptor.rawValue, &status) == 0 && FileIdentity(status) == identity
  }

  /// All of it, from the start; a file that is larger is refused.
  package func readAll(limit: Int) throws(TrustError) -> [UInt8] {
    let bytes: [UInt8]
    do { bytes = try descriptor.read(limit: limit + 1) } catch {
      throw TrustError(path: path, component: path, error)
    }
    if bytes.count > limit { throw TrustError(path: path, component: path, problem: .tooLarge(limit: limit)) }
    return bytes
  }

  /// The program that the `#!` in the first line names; nil if it is not a script.
  package func interpreter() throws(TrustError) -> String? {
    let start: [UInt8]
    // The kernel looks no further either.
    do { start = try descriptor.read(limit: 256) } catch { throw TrustError(path: path, component: path, error) }
    guard start.starts(with: "#!".utf8) else { return nil }
    let line = start.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
    let blank: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    return String(decoding: line.drop(while: blank).prefix { !blank($0) }, as: UTF8.self)
  }

  /// Checks the interpreter as strictly as the script, since it is what runs, and its own if it is a script too.
  package func checkInterpreter() throws(TrustError) {
    try checkInterpreter(depth: 4)
  }

  private func checkInterpreter(depth: Int) throws(TrustError) {
    guard let program = try interpreter() else { return }
    if program.hasSuffix("\r") { throw TrustError(path: path, component: path, problem: .carriageReturn) }
    guard depth > 0 else { throw TrustError(path: path, component: program, problem: .tooManyLinks) }
    guard program.hasPrefix("/") else { throw TrustError(path: path, component: program, problem: .notAbsolute) }
    do throws(TrustError) {
      let file = try TrustedFile.open(program, for: .executing)
      guard file.isExecutable else {
        throw TrustError(path: program, component: program, problem: .notExecutable)
      }
      // One that cannot be read is not a script: the kernel could not start it as one either.
      let readable: TrustedFile
      do throws(TrustError) { readable = try TrustedFile.open(program) } catch {
        if error.isTemporary { throw error }
        return
      }
      try readable.checkInterpreter(depth: depth - 1)
    } catch {
      throw TrustError(path: path, component: error.component, problem: error.problem)
    }
  }
}
