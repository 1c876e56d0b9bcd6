import Glibc
internal import Systemd

/// Opens a path part by part, and refuses it at the first part that other users could change.
///
/// Every call here resolves a single name in an open directory, and symbolic links are read and followed here and not by the
/// kernel. So the object that was checked is the object that is held open, and nobody can replace a directory in between.
struct TrustedWalk: ~Copyable {
  /// The kernel follows 40 links, too (path_resolution(7)).
  private static let linkLimit = 40
  /// O_PATH, which Swift's Glibc module lacks.
  private static let pathOnly: Int32 = 0o10000000

  /// The path that the caller asked for.
  private let asked: String
  /// Whether directories on the path may be writable for everybody if they are sticky, as /tmp is: others cannot rename or
  /// remove our files there.
  private let allowsSticky: Bool
  private var directory: OwnedDescriptor
  /// The names on the path from the root to `directory`, for messages.
  private var names: [String]

  /// The object at the end of the path, and the directory and name by which it can be opened.
  struct End: ~Copyable {
    /// Opened with O_PATH.
    let descriptor: OwnedDescriptor
    let status: stat
    let directory: OwnedDescriptor
    let name: String
    let path: String
  }

  /// Starts at the root.
  init(for asked: String, allowsSticky: Bool = false) throws(TrustError) {
    self.asked = asked
    self.allowsSticky = allowsSticky
    names = []
    directory = try Self.openRoot(asked)
  }

  /// Starts in a directory that was itself opened by such a walk.
  init(for asked: String, in directory: consuming OwnedDescriptor, path: String) {
    self.asked = asked
    allowsSticky = false
    self.directory = directory
    names = Self.parts(of: path)
  }

  /// Follows the path to its end. The end is checked by the same rule as every part before it, and so are the targets of
  /// symbolic links.
  consuming func follow(_ path: String) throws(TrustError) -> End {
    var pending = Self.parts(of: path)
    pending.reverse()
    var links = 0
    while let next = pending.popLast() {
      if next == "." { continue }
      if next == ".." {
        directory = try open("..")
        if !names.isEmpty { names.removeLast() }
        let here = Self.text(names)
        try Self.check(
          try Self.status(of: directory.rawValue, asked: asked, component: here), asked: asked, component: here)
        continue
      }
      let path = Self.text(names + [next])
      let part = try open(next)
      let status = try Self.status(of: part.rawValue, asked: asked, component: path)
      if status.st_mode & S_IFMT == S_IFLNK {
        // The mode of a link means nothing. Its owner matters, because the owner of a link in a sticky directory may replace
        // it.
        try Self.checkOwner(status, asked: asked, component: path)
        links += 1
        if links > Self.linkLimit { throw TrustError(path: asked, component: path, problem: .tooManyLinks) }
        let target = try readLink(part.rawValue, name: next)
        if target.hasPrefix("/") {
          directory = try Self.openRoot(asked)
          names = []
        }
        pending += Self.parts(of: target).reversed()
        continue
      }
      let isEnd = pending.allSatisfy { $0 == "." }
      if allowsSticky, !isEnd, status.st_mode & S_ISVTX != 0 {
        try Self.checkOwner(status, asked: asked, component: path)
      } else {
        try Self.check(status, asked: asked, component: path)
      }
      if isEnd {
        return End(descriptor: part, status: status, directory: directory, name: next, path: path)
      }
      if status.st_mode & S_IFMT != S_IFDIR {
        throw TrustError(path: asked, component: path, problem: .notDirectory)
      }
      directory = part
      names.append(next)
    }
    // The path was the root, or ended with "..": its end is the current directory.
    let path = Self.text(names)
    let end = try open(".")
    let status = try Self.status(of: end.rawValue, asked: asked, component: path)
    return End(descriptor: end, status: status, directory: directory, name: ".", path: path)
  }

  // MARK: The rule

  /// Checks that only root and our own user can change a directory or a file.
  static func check(_ status: stat, asked: String, component: String) throws(TrustError) {
    try checkOwner(status, asked: asked, component: component)
    // An access control list that lets others write shows in the bits of the group (acl(5)). The sticky bit only keeps others
    // from renaming and removing files, not from adding some.
    if status.st_mode & (S_IWGRP | S_IWOTH) != 0 {
      throw TrustError(path: asked, component: component, problem: .writable(mode: status.st_mode))
    }
  }

  private static func checkOwner(_ status: stat, asked: String, component: String) throws(TrustError) {
    if status.st_uid != 0 && status.st_uid != geteuid() {
      throw TrustError(path: asked, component: component, problem: .owner(status.st_uid))
    }
  }

  // MARK: System calls

  private static func openRoot(_ asked: String) throws(TrustError) -> OwnedDescriptor {
    let root: OwnedDescriptor
    do { root = try OwnedDescriptor.open("/", pathOnly | O_DIRECTORY) } catch {
      throw TrustError(path: asked, component: "/", error)
    }
    // The root of a container is an ordinary directory with any owner and mode.
    try check(try status(of: root.rawValue, asked: asked, component: "/"), asked: asked, component: "/")
    return root
  }

  private func open(_ name: String) throws(TrustError) -> OwnedDescriptor {
    do { return try OwnedDescriptor.open(name, in: directory.rawValue, Self.pathOnly | O_NOFOLLOW) } catch {
      throw TrustError(path: asked, component: Self.text(names + [name]), error)
    }
  }

  private static func status(of descriptor: Int32, asked: String, component: String) throws(TrustError) -> stat {
    var status = Glibc.stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw TrustError(path: asked, component: component, SystemError("fstat"))
    }
    return status
  }

  private func readLink(_ descriptor: Int32, name: String) throws(TrustError) -> String {
    var length = 0
    let target = unsafe [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
      length = unsafe buffer.withMemoryRebound(to: CChar.self) {
        guard let base = $0.baseAddress else { return -1 }
        return unsafe readlinkat(descriptor, "", base, $0.count)
      }
      count = max(0, length)
    }
    if length < 0 { throw TrustError(path: asked, component: Self.text(names + [name]), SystemError("readlinkat")) }
    return String(decoding: target, as: UTF8.self)
  }

  private static func parts(of path: String) -> [String] { path.split(separator: "/").map(String.init) }
  private static func text(_ names: [String]) -> String { "/" + names.joined(separator: "/") }
}
