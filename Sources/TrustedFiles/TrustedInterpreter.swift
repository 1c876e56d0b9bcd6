internal import Systemd

/// The interpreters that scripts name in their `#!` line.
extension TrustedFile {
  /// The interpreter that the `#!` line names; nil if the file is not a script.
  package func interpreter() throws(TrustError) -> String? {
    let start: [UInt8]
    // The kernel reads 256 bytes of the line, too (execve(2)).
    do { start = try descriptor.read(limit: 256) } catch { throw TrustError(path: path, component: path, error) }
    guard start.starts(with: "#!".utf8) else { return nil }
    let line = start.dropFirst(2).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
    let blank: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    return String(decoding: line.drop(while: blank).prefix { !blank($0) }, as: UTF8.self)
  }

  /// Checks the interpreter by the same rule as the script, because it is the interpreter that runs. If the interpreter is a
  /// script, its own interpreter is checked, too.
  package func checkInterpreter() throws(TrustError) {
    try checkInterpreter(depth: 4)
  }

  private func checkInterpreter(depth: Int) throws(TrustError) {
    guard let program = try interpreter() else { return }
    if program.hasSuffix("\r") { throw TrustError(path: path, component: path, problem: .carriageReturn) }
    guard depth > 0 else { throw TrustError(path: path, component: program, problem: .tooManyLinks) }
    guard program.hasPrefix("/") else { throw TrustError(path: path, component: program, problem: .notAbsolute) }
    do throws(TrustError) {
      let file = try TrustedFile.open(program, for: .executing)
      guard file.isExecutable else {
        throw TrustError(path: program, component: program, problem: .notExecutable)
      }
      // An interpreter that we cannot read is not a script: it could not run as one.
      let readable: TrustedFile
      do throws(TrustError) { readable = try TrustedFile.open(program) } catch {
        if error.isTemporary { throw error }
        return
      }
      try readable.checkInterpreter(depth: depth - 1)
    } catch {
      throw TrustError(path: path, component: error.component, problem: error.problem)
    }
  }
}
