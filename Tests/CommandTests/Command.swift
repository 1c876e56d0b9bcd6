import Glibc

/// The directory of the repository.
let repository =
  getenv("JOURNALHOOK_REPOSITORY").map { String(cString: $0) }
  ?? "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

/// The program under test: the release binary in contrib/test, else the one that was built with the tests.
let binary =
  getenv("JOURNALHOOK_BINARY").map { String(cString: $0) } ?? "\(repository)/.build/debug/journalhook"

/// What a command line prints, and its exit status.
func shell(_ text: String) -> (output: String, status: Int32) {
  // The shell prints the status, because other tests of this process wait for every child, also for that of pclose(3).
  guard let pipe = popen("{ \(text)\n} 2>&1; echo \"=$?\"", "re") else { return ("", -1) }
  var bytes: [UInt8] = []
  while case let byte = getc(pipe), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
  pclose(pipe)
  let all = String(decoding: bytes, as: UTF8.self)
  guard let mark = all.lastIndex(of: "=") else { return (all, -1) }
  let status = all[all.index(after: mark)...].filter(\.isNumber)
  return (String(all[..<mark]), Int32(status) ?? -1)
}

/// Runs the program.
func journalhook(_ arguments: String) -> (output: String, status: Int32) { shell("'\(binary)' \(arguments)") }
