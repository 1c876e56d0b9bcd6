package import Glibc
package import Systemd

package let isRoot = geteuid() == 0

/// A directory that may hold trusted files: /tmp may not.
package final class TemporaryDirectory {
  package let path: String

  package init() throws {
    let base = isRoot ? "/run" : getenv("XDG_RUNTIME_DIR").map { String(cString: $0) } ?? "."
    var template = Array("\(base)/journalhook-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", path: base) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { run("chmod -R u+w \(path); rm -rf \(path)") }

  package func file(_ name: String, _ text: String = "#!/bin/sh\n", mode: mode_t = 0o755) throws -> String {
    let path = "\(path)/\(name)"
    let file = try OwnedDescriptor.open2(path, O_WRONLY | O_CREAT | O_TRUNC)
    _ = text.withCString { write(file.rawValue, $0, text.utf8.count) }
    fchmod(file.rawValue, mode)
    return path
  }

  package func directory(_ name: String, mode: mode_t = 0o755) -> String {
    mkdir("\(path)/\(name)", 0o755)
    chmod("\(path)/\(name)", mode)
    return "\(path)/\(name)"
  }

  package func link(_ name: String, to target: String) -> String {
    symlink(target, "\(path)/\(name)")
    return "\(path)/\(name)"
  }
}

extension OwnedDescriptor {
  /// As `open`, for files to be made.
  package static func open2(_ path: String, _ flags: Int32) throws -> OwnedDescriptor {
    let number = Glibc.open(path, flags | O_CLOEXEC, 0o600)
    if number < 0 { throw SystemError("open", path: path) }
    return OwnedDescriptor(number)
  }
}
