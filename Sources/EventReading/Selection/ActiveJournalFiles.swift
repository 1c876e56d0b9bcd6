internal import Glibc
internal import Lifecycle
internal import Systemd

/// The files of the system journal that journald writes to now, kept open to see what becomes of them.
///
/// journald goes on writing to a file that was removed until it looks at it again, some seconds later, or has to enlarge it
/// (systemd's journal-file.c, `journal_file_fstat`). A file that was rotated is marked as archived before it is removed; in
/// that one nothing is written any more.
package final class ActiveJournalFiles {
  private final class File {
    let path: String
    let descriptor: OwnedDescriptor

    init?(path: String) {
      guard let descriptor = try? OwnedDescriptor.open(path, O_RDONLY) else { return nil }
      self.path = path
      self.descriptor = descriptor
    }
  }

  private let lasting: String
  private let volatile: String
  private var files: [File] = []
  private let directories: [String]
  /// The inodes of the archived files that libsystemd has open.
  private var opened: Set<UInt64> = []

  /// Watches those of a machine.
  package init(machine: String) {
    directories = ["/var/log/journal/\(machine)", "/run/log/journal/\(machine)"]
    lasting = "\(directories[0])/system.journal"
    volatile = "\(directories[1])/system.journal"
    files = open()
  }

  /// Takes note of the files that libsystemd reads from now on.
  package func noteOpen() { opened = open(of: archived()) }

  /// Until when the files that libsystemd has given up since it was last asked have entries, in microseconds since 1970; nil if
  /// it has given up none.
  ///
  /// It closes a file that it finds to be damaged, and tells nobody (systemd's sd-journal.c, `real_journal_next`).
  package func givenUp() -> UInt64? {
    let there = archived()
    let now = open(of: there)
    defer { opened = now }
    return there.filter { opened.contains($0.key) && !now.contains($0.key) }
      .compactMap { ActiveJournalFiles.end(of: $0.value) }.max()
  }

  /// The paths of files that were rotated, by inode.
  private func archived() -> [UInt64: String] {
    var found: [UInt64: String] = [:]
    for directory in directories {
      guard let descriptor = try? OwnedDescriptor.open(directory, O_RDONLY | O_DIRECTORY),
        let names = try? listDirectory(descriptor.rawValue)
      else { continue }
      for name in names where name.hasPrefix("system@") {
        var status = stat()
        guard unsafe fstatat(descriptor.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
        found[UInt64(status.st_ino)] = "\(directory)/\(name)"
      }
    }
    return found
  }

  private func open(of files: [UInt64: String]) -> Set<UInt64> {
    guard let directory = try? OwnedDescriptor.open("/proc/self/fd", O_RDONLY | O_DIRECTORY),
      let names = try? listDirectory(directory.rawValue)
    else { return [] }
    var found: Set<UInt64> = []
    for name in names {
      var status = stat()
      guard let number = CInt(name), unsafe fstat(number, &status) == 0, files[UInt64(status.st_ino)] != nil else {
        continue
      }
      found.insert(UInt64(status.st_ino))
    }
    return found
  }

  /// The time of a file's last entry (journal-def.h, `struct Header`: tail_entry_realtime).
  private static func end(of path: String) -> UInt64? {
    guard let descriptor = try? OwnedDescriptor.open(path, O_RDONLY) else { return nil }
    var time: UInt64 = 0
    let count = unsafe withUnsafeMutableBytes(of: &time) { unsafe pread(descriptor.rawValue, $0.baseAddress, 8, 192) }
    return count == 8 ? UInt64(littleEndian: time) : nil
  }

  /// Whether there is one now.
  package var isThere: Bool { !files.isEmpty }

  /// Whether a file was removed while journald wrote to it, since it was last asked.
  package func isRemoved() -> Bool {
    let old = files
    files = open()
    return old.contains { file in
      // journald itself removes the one in /run when it has moved all to /var.
      let isFlushed = file.path == volatile && files.contains { $0.path == lasting }
      return !isFlushed && ActiveJournalFiles.isRemoved(file.descriptor)
    }
  }

  private func open() -> [File] { [lasting, volatile].compactMap(File.init) }

  /// The byte that tells a file's state, and its value for one that is archived (journal-def.h, `struct Header`).
  private static let stateOffset: off_t = 16
  private static let archived: UInt8 = 2

  private static func isRemoved(_ descriptor: borrowing OwnedDescriptor) -> Bool {
    var status = stat()
    guard unsafe fstat(descriptor.rawValue, &status) == 0, status.st_nlink == 0 else { return false }
    var state: UInt8 = 0
    return unsafe pread(descriptor.rawValue, &state, 1, stateOffset) == 1 && state != archived
  }
}
