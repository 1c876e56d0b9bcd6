/// What is mounted, as /proc/self/mountinfo says (proc_pid_mountinfo(5)).
package struct MountTable {
  private let mounts: [(point: String, line: [UInt8])]

  package init(_ text: [UInt8]) {
    mounts = text.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
      return fields.count == 6 ? (MountTable.unescape(fields[4]), Array(line)) : nil
    }
  }

  /// The mounts that decide what is at some paths, or what is in some directories, as lines of the table.
  ///
  /// - Parameter paths: without links, and with every directory above them.
  package func concerning(paths: Set<String>, directories: Set<String>) -> Set<[UInt8]> {
    Set(
      mounts.filter { mount in
        mount.point == "/" || paths.contains(mount.point) || MountTable.isIn(directories, mount.point)
      }.map(\.line))
  }

  /// Whether a path is below one of some directories.
  private static func isIn(_ directories: Set<String>, _ path: String) -> Bool {
    var path = path[...]
    while let slash = path.lastIndex(of: "/") {
      path = path[..<slash]
      if directories.contains(String(path)) { return true }
    }
    return false
  }

  /// Blanks, tabs, newlines and backslashes are written as three octal digits.
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
