internal import Systemd

/// What a script is called in its own output.
///
/// An interpreter opens the script that was checked as /dev/fd/3, and so shells and others call it that when they tell of an error in it.
package enum ScriptName {
  private static let name = Array("/dev/fd/3".utf8)

  /// A line of output in which a script has its path again.
  package static func restored(in line: [UInt8], _ path: String) -> [UInt8] {
    guard line.count >= name.count, line.contains(UInt8(ascii: "/")) else { return line }
    var result: [UInt8] = []
    var rest = line[...]
    while let slash = rest.firstIndex(of: UInt8(ascii: "/")) {
      let found = rest[slash...]
      let behind = found.dropFirst(name.count)
      let isName = found.starts(with: name) && !(behind.first.map { isPart($0) } ?? false)
      result += rest[..<slash]
      if isName { result += path.utf8 } else { result.append(UInt8(ascii: "/")) }
      rest = isName ? behind : found.dropFirst()
    }
    return result + rest
  }

  /// Whether what follows makes it another file: /dev/fd/30, /dev/fd/3/x.
  private static func isPart(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "/")
  }
}
