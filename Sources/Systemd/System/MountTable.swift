/// The mounts in /proc/self/mountinfo (proc_pid_mountinfo(5)).
package struct MountTable {
  private let mounts: [(point: String, line: [UInt8])]

  package init(_ text: [UInt8]) {
    mounts = text.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
      return fields.count == 6 ? (MountTable.unescape(fields[4]), Array(line)) : nil
    }
  }

  /// The mounts that can change what given paths lead to, or what given directories contain, as lines of the table.
  ///
  /// - Parameters:
  ///   - paths: paths without symbolic links, and every directory above each of them.
  ///   - directories: directories in which mounts on single files matter, too.
  package func concerning(paths: Set<String>, directories: Set<String>) -> Set<[UInt8]> {
    Set(
      mounts.filter { mount in
        mount.point == "/" || paths.contains(mount.point) || MountTable.isIn(directories, mount.point)
      }.map(\.line))
  }

  /// Whether a path is below one of the directories.
  private static func isIn(_ directories: Set<String>, _ path: String) -> Bool {
    var path = path[...]
    while let slash = path.lastIndex(of: "/") {
      path = path[..<slash]
      if directories.contains(String(path)) { return true }
    }
    return false
  }

  /// Resolves the escapes of the table: a space, tab, newline or backslash is a backslash and three octal digits.
  private static func unescape(_ field: ArraySlice<UInt8>) -> String {
    var bytes: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        bytes.append(value)
        rest.removeFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
