import Glibc

@testable import Systemd

/// Runs a command, and returns its standard output and whether it succeeded.
func run(_ command: [String], timeZone: String? = nil) -> (output: String, succeeded: Bool) {
  let quoted = command.map {
    "'" + $0.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
  let environment = timeZone.map { "TZ='\($0)' " } ?? ""
  guard
    let pipe = popen(environment + "LC_ALL=C.UTF-8 " + quoted.joined(separator: " ") + " 2>/dev/null; echo $?", "re")
  else {
    return ("", false)
  }
  var bytes: [UInt8] = []
  while case let byte = getc(pipe), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
  // The shell prints the exit status, because other tests of this process reap all children, including that of pclose(3).
  pclose(pipe)
  let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
  let output = lines.dropLast(2).map { $0 + "\n" }.joined()
  return (output, lines.dropLast().last == "0")
}

/// The value after a label such as `UNIX seconds:` in the output of systemd-analyze.
func value(of label: String, in output: String) -> String? {
  for line in output.split(separator: "\n") {
    let parts = line.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, parts[0].drop(while: { $0 == " " }) == label else { continue }
    return String(parts[1].drop { $0 == " " })
  }
  return nil
}
