import Glibc
internal import Systemd

/// Follows a path by descriptors, one part after the other, and refuses at the first that others could change.
///
/// No call here resolves more than one name, and links are read and followed by hand; so whatever was checked is what is
/// held open, and nobody can exchange a directory in between.
struct TrustedWalk: ~Copyable {
  /// As many links as the kernel itself follows.
  private static let linkLimit = 40
  /// O_PATH, which Swift's Glibc module leaves out.
  private static let pathOnly: Int32 = 0o10000000

  private let asked: String
  /// Whether directories on the way may be for everybody if they are sticky, as /tmp: what is ours in there stays ours.
  private let allowsSticky: Bool
  private var directory: OwnedDescriptor
  /// The names of `directory` from the root on, for messages.
  private var names: [String]

  /// What the walk found last: where it is, and how to open it.
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

  /// Starts in a directory that such a walk has led to.
  init(for asked: String, in directory: consuming OwnedDescriptor, path: String) {
    self.asked = asked
    allowsSticky = false
    self.directory = directory
    names = Self.parts(of: path)
  }

  /// Goes to the end of the path. The end itself is checked too: links on the way to it are no different from others.
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
        // Its own mode bits mean nothing. Its owner does: who owns a link in a sticky directory may exchange it.
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
    // The root, and what ends with "..", is a directory that has no other name.
    let path = Self.text(names)
    let end = try open(".")
    let status = try Self.status(of: end.rawValue, asked: asked, component: path)
    return End(descriptor: end, status: status, directory: directory, name: ".", path: path)
  }

  // MARK: The rule

  /// Checks a directory or a file.
  static func check(_ status: stat, asked: String, component: String) throws(TrustError) {
    try checkOwner(status, asked: asked, component: component)
    // An access list that lets others write shows in the group's bits. The sticky bit only keeps others from renaming
    // what exists, not from adding what does not.
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
    // In a container it is an ordinary directory, with any owner and mode.
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
