internal import Systemd

/// The name of a script in its own output.
///
/// An interpreter opens the script as /dev/fd/3, because that is the file that was checked. So shells and other interpreters
/// print this name in their error messages.
package enum ScriptName {
  private static let name = Array("/dev/fd/3".utf8)

  /// A line of output, with /dev/fd/3 replaced by the path of the script.
  package static func restored(in line: [UInt8], _ path: String) -> [UInt8] {
    guard line.count >= name.count, line.contains(UInt8(ascii: "/")) else { return line }
    var result: [UInt8] = []
    var rest = line[...]
    while let slash = rest.firstIndex(of: UInt8(ascii: "/")) {
      let found = rest[slash...]
      let following = found.dropFirst(name.count)
      let isName = found.starts(with: name) && !(following.first.map { isPart($0) } ?? false)
      result += rest[..<slash]
      if isName { result += path.utf8 } else { result.append(UInt8(ascii: "/")) }
      rest = isName ? following : found.dropFirst()
    }
    return result + rest
  }

  /// Whether a byte after the name makes it the name of another file: /dev/fd/30, /dev/fd/3/x.
  private static func isPart(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "/")
  }
}
