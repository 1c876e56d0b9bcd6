internal import Glibc

/// The paths of journal files.
extension Journal {
  /// The glob that matches only this path.
  public static func glob(naming path: String) -> String {
    String(decoding: path.utf8.flatMap { "*?[\\".utf8.contains($0) ? [UInt8(ascii: "\\"), $0] : [$0] }, as: UTF8.self)
  }

  /// The files that match globs (glob(7)).
  ///
  /// - Throws: `ENOENT` if there is no file for one of the globs; a temporary error if a directory cannot be listed now.
  public static func expand(_ globs: [String]) throws(SystemError) -> [String] {
    var paths: [String] = []
    for pattern in globs {
      // A glob without wildcards is the path of one file. glob(3) would not report why that file cannot be found.
      if let path = literal(pattern) {
        var status = stat()
        try SystemError.checkErrno(unsafe stat(path, &status), "find the journal file", path: path)
        paths.append(path)
        continue
      }
      var found = unsafe glob_t()
      defer { unsafe globfree(&found) }
      // glob(3) must not treat a directory that cannot be listed now as an empty one.
      let status = unsafe Glibc.glob(pattern, 0, { _, code in SystemError.isTemporary(code) ? 1 : 0 }, &found)
      guard status == 0 else {
        let code =
          switch status {
          case GLOB_NOMATCH: ENOENT
          case GLOB_NOSPACE: ENOMEM
          default: EIO
          }
        throw SystemError("find journal files that match", path: pattern, code: code)
      }
      for index in 0..<Int(unsafe found.gl_pathc) {
        if let path = unsafe found.gl_pathv[index] { paths.append(unsafe String(cString: path)) }
      }
    }
    return paths
  }

  /// The path that a glob without wildcards matches; nil for a glob with wildcards.
  private static func literal(_ pattern: String) -> String? {
    var bytes: [UInt8] = []
    var rest = pattern.utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
        bytes.append(escaped)
      } else if "*?[".utf8.contains(byte) {
        return nil
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
