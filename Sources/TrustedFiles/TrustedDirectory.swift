import Glibc
package import Systemd

/// A directory that nobody but root and our own user can change, nor any directory above it, held open.
package struct TrustedDirectory: ~Copyable, Sendable {
  package let descriptor: OwnedDescriptor
  /// Without links.
  package let path: String

  package static func open(_ path: String) throws(TrustError) -> TrustedDirectory {
    guard path.hasPrefix("/") else { throw TrustError(path: path, component: path, problem: .notAbsolute) }
    return try TrustedDirectory(asked: path, try TrustedWalk(for: path).follow(path))
  }

  /// The same where directories above it may be sticky, as /tmp: in there nobody can add to it, nor put another in its place.
  package static func open(evenInSticky path: String) throws(TrustError) -> TrustedDirectory {
    guard path.hasPrefix("/") else { throw TrustError(path: path, component: path, problem: .notAbsolute) }
    return try TrustedDirectory(asked: path, try TrustedWalk(for: path, allowsSticky: true).follow(path))
  }

  private init(asked: String, _ end: consuming TrustedWalk.End) throws(TrustError) {
    path = end.path
    guard end.status.st_mode & S_IFMT == S_IFDIR else {
      throw TrustError(path: asked, component: end.path, problem: .notDirectory)
    }
    // O_PATH descriptors cannot be listed; "." below one is the very same directory.
    do { descriptor = try OwnedDescriptor.open(".", in: end.descriptor.rawValue, O_RDONLY | O_DIRECTORY) } catch {
      throw TrustError(path: asked, component: end.path, error)
    }
  }

  /// What is in it, in byte order, without "." and "..".
  package func names() throws(TrustError) -> [String] {
    do throws(SystemError) {
      return try listDirectory(descriptor.rawValue).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    } catch {
      throw TrustError(path: path, component: path, error)
    }
  }

  /// Opens a file in it under the same rule, also where its name is a link to elsewhere.
  package func openFile(_ name: String, for purpose: TrustedFile.Purpose = .reading) throws(TrustError) -> TrustedFile {
    try TrustedFile(asked: path(of: name), try follow(name), for: purpose)
  }

  /// Opens a directory in it under the same rule.
  package func openDirectory(_ name: String) throws(TrustError) -> TrustedDirectory {
    try TrustedDirectory(asked: path(of: name), try follow(name))
  }

  /// Whether a name is a link to /dev/null or an empty file, which hides what other directories have under that name.
  ///
  /// Others must not be able to switch it on and off: a drop-in that restricts a hook can be hidden, too. So it counts only
  /// under the rule for files, up to the device itself, which everybody may write to.
  ///
  /// - Throws: only what is temporary.
  package func isMask(_ name: String) throws(TrustError) -> Bool {
    do throws(TrustError) {
      let end = try follow(name)
      return end.status.st_mode & S_IFMT == S_IFREG && end.status.st_size == 0
    } catch {
      if error.isTemporary { throw error }
      guard error.component == "/dev/null" else { return false }
      var found = stat()
      var null = stat()
      let isThere = unsafe fstatat(descriptor.rawValue, name, &found, 0) == 0 && stat("/dev/null", &null) == 0
      return isThere && found.st_mode & S_IFMT == S_IFCHR && found.st_rdev == null.st_rdev
    }
  }

  private func follow(_ name: String) throws(TrustError) -> TrustedWalk.End {
    let asked = path(of: name)
    guard !name.isEmpty, name != ".", name != "..", !name.contains("/") else {
      throw TrustError(path: asked, component: asked, problem: .notFound)
    }
    let own: OwnedDescriptor
    do { own = try descriptor.duplicate() } catch { throw TrustError(path: asked, component: path, error) }
    return try TrustedWalk(for: asked, in: own, path: path).follow(name)
  }

  private func path(of name: String) -> String { path == "/" ? "/\(name)" : "\(path)/\(name)" }
}
