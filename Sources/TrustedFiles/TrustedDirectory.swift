import Glibc
package import Systemd

/// An open directory. Only root and our own user can change it and the directories above it.
package struct TrustedDirectory: ~Copyable, Sendable {
  /// The descriptor, which can be listed.
  package let descriptor: OwnedDescriptor
  /// The path without symbolic links.
  package let path: String

  /// Opens a directory, and checks every part of its path.
  package static func open(_ path: String) throws(TrustError) -> TrustedDirectory {
    guard path.hasPrefix("/") else { throw TrustError(path: path, component: path, problem: .notAbsolute) }
    return try TrustedDirectory(asked: path, try TrustedWalk(for: path).follow(path))
  }

  /// Opens a directory by the same rule, except that directories above it may be writable for everybody if they are sticky, as
  /// /tmp is. Others still can neither change the directory nor replace it.
  package static func open(evenInSticky path: String) throws(TrustError) -> TrustedDirectory {
    guard path.hasPrefix("/") else { throw TrustError(path: path, component: path, problem: .notAbsolute) }
    return try TrustedDirectory(asked: path, try TrustedWalk(for: path, allowsSticky: true).follow(path))
  }

  private init(asked: String, _ end: consuming TrustedWalk.End) throws(TrustError) {
    path = end.path
    guard end.status.st_mode & S_IFMT == S_IFDIR else {
      throw TrustError(path: asked, component: end.path, problem: .notDirectory)
    }
    // A descriptor with O_PATH cannot be listed. Opening "." in it opens the same directory again.
    do { descriptor = try OwnedDescriptor.open(".", in: end.descriptor.rawValue, O_RDONLY | O_DIRECTORY) } catch {
      throw TrustError(path: asked, component: end.path, error)
    }
  }

  /// The names in the directory in byte order, without "." and "..".
  package func names() throws(TrustError) -> [String] {
    do throws(SystemError) {
      return try listDirectory(descriptor.rawValue).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    } catch {
      throw TrustError(path: path, component: path, error)
    }
  }

  /// Opens a file in the directory by the same rule. If its name is a symbolic link, the path of the target is checked, too.
  package func openFile(_ name: String, for purpose: TrustedFile.Purpose = .reading) throws(TrustError) -> TrustedFile {
    try TrustedFile(asked: path(of: name), try follow(name), for: purpose)
  }

  /// Opens a directory in the directory by the same rule.
  package func openDirectory(_ name: String) throws(TrustError) -> TrustedDirectory {
    try TrustedDirectory(asked: path(of: name), try follow(name))
  }

  /// Whether a name masks the files of that name in other directories: it is a link to /dev/null, or an empty file.
  ///
  /// A mask can also hide a drop-in that restricts a hook, so other users must not be able to create or remove one. Therefore
  /// the same rule holds for a mask as for other files, except for the device /dev/null itself, which everybody may write to.
  ///
  /// - Throws: only temporary errors.
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
