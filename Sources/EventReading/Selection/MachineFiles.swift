internal import Glibc
internal import Systemd

/// The journal files of each machine.
///
/// systemd-journal-remote stores all entries that a sender sends, whatever machine they name. So a file for one sender
/// (`remote-NAME.journal` and its archived files) belongs only to the machine of the first entry of that sender.
struct MachineFiles {
  private let source: Journal.Source
  /// The machines in each file. A file is read again when its identity has changed.
  private var known: [String: (identity: [Int], machines: [String])] = [:]
  /// The machine of each sender of systemd-journal-remote, by the common beginning of its files' paths.
  private var senders: [String: String] = [:]

  /// The files of one machine.
  struct Files: Equatable {
    var paths: [String] = []
    /// Whether any of the files has entries of other machines.
    var isMixed = false
  }

  init(_ source: Journal.Source) { self.source = source }

  /// The files of each machine at this moment.
  ///
  /// - Throws: a temporary error, or the last error if no file can be read.
  mutating func scan() throws(SystemError) -> [String: Files] {
    var files: [String: Files] = [:]
    var failure: SystemError?
    var current: [String: (identity: [Int], machines: [String])] = [:]
    for path in try paths() {
      do throws(SystemError) {
        let machines = try self.machines(of: path)
        if !machines.all.isEmpty { current[path] = (machines.identity, machines.all) }
        let sender = sender(of: path)
        let counted = sender.flatMap { senders[$0].map { [$0] } } ?? machines.all
        for machine in counted {
          files[machine, default: Files()].paths.append(path)
          if machines.all.count > 1 { files[machine]?.isMixed = true }
        }
      } catch {
        // A temporary error ends the scan, because otherwise the entries of this file would be skipped.
        if error.isTemporary { throw error }
        // The file may have been removed meanwhile. A damaged file does not keep the others from being read.
        if error.code != ENOENT { failure = error }
      }
    }
    known = current
    if files.isEmpty, let failure { throw failure }
    return files
  }

  private func paths() throws(SystemError) -> [String] {
    let paths: [String] =
      switch source {
      case .files(let globs): try Journal.expand(globs)
      case .directory(let directory):
        try journals(in: directory)
          + names(in: directory).filter { $0.utf8.count == 32 && $0.allSatisfy(\.isHexDigit) }
          .flatMap { (try? journals(in: "\(directory)/\($0)")) ?? [] }
      case .system, .currentUser, .namespace: []
      }
    // The archived files come first, because they are older: NAME@….journal before NAME.journal.
    func rank(_ path: String) -> Int { path.utf8.contains(UInt8(ascii: "@")) ? 0 : 1 }
    return paths.sorted { (rank($0), $0) < (rank($1), $1) }
  }

  private func names(in directory: String) throws(SystemError) -> [String] {
    let descriptor = try OwnedDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
    return try listDirectory(descriptor.rawValue)
  }

  private func journals(in directory: String) throws(SystemError) -> [String] {
    try names(in: directory).filter { $0.hasSuffix(".journal") || $0.hasSuffix(".journal~") }.map {
      "\(directory)/\($0)"
    }
  }

  /// The common beginning of the paths of a sender's files; nil for a file that is not one of systemd-journal-remote's.
  private func sender(of path: String) -> String? {
    let bytes = path.utf8
    let name = bytes.lastIndex(of: UInt8(ascii: "/")).map(bytes.index(after:)) ?? bytes.startIndex
    guard path[name...].hasPrefix("remote-") else { return nil }
    let end = bytes.lastIndex(of: UInt8(ascii: "@")) ?? bytes.lastIndex(of: UInt8(ascii: ".")) ?? bytes.endIndex
    return String(path[..<end])
  }

  private mutating func machines(of path: String) throws(SystemError) -> (identity: [Int], all: [String]) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { throw SystemError("read", path: path) }
    // journald and systemd-journal-remote change the modification time with every entry.
    let identity = [Int(status.st_ino), status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
    if let old = known[path], old.identity == identity { return (old.identity, old.machines) }
    let journal = try Journal(.files([Journal.glob(naming: path)]))
    if let sender = sender(of: path), senders[sender] == nil, try journal.next() {
      senders[sender] = try journal.entry(keeping: FieldSet(["_MACHINE_ID"]))["_MACHINE_ID"]
    }
    return (identity, try journal.values(of: "_MACHINE_ID").sorted())
  }
}
