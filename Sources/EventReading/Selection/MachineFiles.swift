internal import Glibc
internal import Systemd

/// Which journal files hold the entries of which machines.
///
/// systemd-journal-remote stores what it is sent, whichever machine that says it is of. So a file that it keeps for one sender
/// (`remote-NAME.journal`, and what was rotated out of it) counts only for the machine that the sender named first.
struct MachineFiles {
  private let source: Journal.Source
  /// What is known of a file; looked at again when it has changed.
  private var known: [String: (identity: [Int], machines: [String])] = [:]
  /// The machines of systemd-journal-remote's senders.
  private var senders: [String: String] = [:]

  /// One machine's files.
  struct Files: Equatable {
    var paths: [String] = []
    /// Whether any of them has entries of other machines.
    var isMixed = false
  }

  init(_ source: Journal.Source) { self.source = source }

  /// The files of each machine, now.
  ///
  /// - Throws: why files cannot be read, if none can.
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
        // What the file holds must not be passed over because it cannot be read now.
        if error.isTemporary { throw error }
        // It may have been removed meanwhile; and a broken file does not keep others from being read.
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
    // What was rotated out of a file is older than the file: NAME@….journal before NAME.journal.
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

  /// The path up to what tells a sender's files apart; nil for other files.
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
    // journald and systemd-journal-remote touch the file with every entry.
    let identity = [Int(status.st_ino), status.st_mtim.tv_sec, status.st_mtim.tv_nsec]
    if let old = known[path], old.identity == identity { return (old.identity, old.machines) }
    let journal = try Journal(.files([Journal.glob(naming: path)]))
    if let sender = sender(of: path), senders[sender] == nil, try journal.next() {
      senders[sender] = try journal.entry(keeping: FieldSet(["_MACHINE_ID"]))["_MACHINE_ID"]
    }
    return (identity, try journal.values(of: "_MACHINE_ID").sorted())
  }
}
