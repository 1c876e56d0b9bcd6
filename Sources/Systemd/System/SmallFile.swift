internal import Glibc

/// The text of a small file of /proc or of a cgroup; nil if it cannot be read, usually because its process or cgroup is gone.
///
/// - Parameter limit: the largest number of bytes that are read.
package func readText(_ path: String, limit: Int = 1 << 20) -> String? {
  guard let file = try? OwnedDescriptor.open(path, O_RDONLY), let bytes = try? file.read(limit: limit) else {
    return nil
  }
  return String(decoding: bytes, as: UTF8.self)
}
