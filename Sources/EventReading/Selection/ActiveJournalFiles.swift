internal import Glibc
internal import Lifecycle
internal import Systemd

/// The files of the system journal to which journald writes now. They are kept open to see whether they are removed.
///
/// journald continues writing to a removed file until it examines the file again, some seconds later, or has to enlarge it
/// (systemd's journal-file.c, `journal_file_fstat`). A file that was rotated is marked as archived before it is removed.
/// journald does not write to an archived file.
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

  private let persistent: String
  private let volatile: String
  private var files: [File] = []
  private let directories: [String]
  /// The inodes of the archived files that libsystemd has open.
  private var opened: Set<UInt64> = []

  /// Opens the active files of a machine.
  package init(machine: String) {
    directories = ["/var/log/journal/\(machine)", "/run/log/journal/\(machine)"]
    persistent = "\(directories[0])/system.journal"
    volatile = "\(directories[1])/system.journal"
    files = open()
  }

  /// Remembers the archived files that libsystemd has open now. Call it after the journal was opened.
  package func noteOpenFiles() { opened = open(of: archived()) }

  /// The time of the last entry in the archived files that libsystemd has closed since the last call, in microseconds since
  /// 1970; nil if it has closed none.
  ///
  /// libsystemd closes a damaged file without an error (systemd's sd-journal.c, `real_journal_next`). Its entries may be
  /// missing.
  package func lastTimeInClosedFiles() -> UInt64? {
    let there = archived()
    let now = open(of: there)
    defer { opened = now }
    return there.filter { opened.contains($0.key) && !now.contains($0.key) }
      .compactMap { ActiveJournalFiles.end(of: $0.value) }.max()
  }

  /// The paths of the archived files, by inode.
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

  /// The inodes of those files that this process has open.
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

  /// Whether there are active files.
  package var exist: Bool { !files.isEmpty }

  /// Whether an active file was removed since the last call.
  package func isRemoved() -> Bool {
    let old = files
    files = open()
    return old.contains { file in
      // journald itself removes the file in /run after it has moved all entries to /var.
      let isFlushed = file.path == volatile && files.contains { $0.path == persistent }
      return !isFlushed && ActiveJournalFiles.isRemoved(file.descriptor)
    }
  }

  private func open() -> [File] { [persistent, volatile].compactMap(File.init) }

  /// The offset of the byte with the state of a file, and the state of an archived file (journal-def.h, `struct Header`).
  private static let stateOffset: off_t = 16
  private static let archived: UInt8 = 2

  private static func isRemoved(_ descriptor: borrowing OwnedDescriptor) -> Bool {
    var status = stat()
    guard unsafe fstat(descriptor.rawValue, &status) == 0, status.st_nlink == 0 else { return false }
    var state: UInt8 = 0
    return unsafe pread(descriptor.rawValue, &state, 1, stateOffset) == 1 && state != archived
  }
}
