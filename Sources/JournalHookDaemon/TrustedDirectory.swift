import Glibc
package import Systemd

/// A folder that nobody but root and our own user can change, nor any folder above it, held open.
package struct TrustedDirectory: ~Copyable, Sendable {
  package let descriptor: OwnedDescriptor
  /// Without links.
  package let path: String

  package static func open(_ path: String) throws(TrustError) -> TrustedDirectory {
    guard path.hasPrefix("/") else { throw TrustError(path: path, component: path, problem: .notAbsolute) }
    return try TrustedDirectory(asked: path, try TrustedWalk(for: path).follow(path))
  }

  private init(asked: String, _ end: consuming TrustedWalk.End) throws(TrustError) {
    path = end.path
    guard end.status.st_mode & S_IFMT == S_IFDIR else {
      throw TrustError(path: asked, component: end.path, problem: .notFolder)
    }
    // O_PATH descriptors cannot be listed; "." below one is the very same folder.
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

  /// Opens a folder in it under the same rule.
  package func openDirectory(_ name: String) throws(TrustError) -> TrustedDirectory {
    try TrustedDirectory(asked: path(of: name), try follow(name))
  }

  /// Whether a name is a link to /dev/null or an empty file, which hides what other folders have under that name.
  package func isMask(_ name: String) -> Bool {
    var status = stat()
    // Following the link as a whole is good enough: what nobody else can place here can at most hide a hook.
    guard unsafe fstatat(descriptor.rawValue, name, &status, 0) == 0 else { return false }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return status.st_size == 0
    case S_IFCHR:
      var null = stat()
      return unsafe stat("/dev/null", &null) == 0 && status.st_rdev == null.st_rdev
    default: return false
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

/// The names in a folder that is open, without "." and "..".
func listDirectory(_ descriptor: Int32) throws(SystemError) -> [String] {
  // A file description of its own, so that each listing begins at the start.
  let number = try OwnedDescriptor.open(".", in: descriptor, O_RDONLY | O_DIRECTORY).release()
  guard let stream = unsafe fdopendir(number) else {
    let failure = SystemError("list a folder")
    _ = close(number)
    throw failure
  }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  while true {
    errno = 0
    guard let entry = unsafe readdir(stream) else { break }
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
      unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
    }
    if name != "." && name != ".." { names.append(name) }
  }
  if errno != 0 { throw SystemError("list a folder") }
  return names
}
