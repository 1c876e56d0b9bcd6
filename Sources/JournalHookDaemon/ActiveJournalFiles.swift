internal import Glibc
internal import Systemd

/// The files of the system journal that journald writes to now, kept open to see what becomes of them.
///
/// journald goes on writing to a file that was removed until it looks at it again, some seconds later, or has to enlarge it
/// (systemd's journal-file.c, `journal_file_fstat`). A file that was rotated is marked as archived before it is removed; in
/// that one nothing is written any more.
final class ActiveJournalFiles {
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
  private let folders: [String]
  /// All journal files, by name and inode.
  private var all: Set<String> = []

  /// Watches those of a machine.
  init(machine: String) {
    folders = ["/var/log/journal/\(machine)", "/run/log/journal/\(machine)"]
    lasting = "\(folders[0])/system.journal"
    volatile = "\(folders[1])/system.journal"
    files = open()
    all = list()
  }

  /// Whether all files are those that there were when it was last asked.
  func isSame() -> Bool {
    let old = all
    all = list()
    return all == old
  }

  private func list() -> Set<String> {
    var found: Set<String> = []
    for folder in folders {
      guard let descriptor = try? OwnedDescriptor.open(folder, O_RDONLY | O_DIRECTORY),
        let names = try? listDirectory(descriptor.rawValue)
      else { continue }
      for name in names {
        var status = stat()
        guard unsafe fstatat(descriptor.rawValue, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
        found.insert("\(folder)/\(name) \(status.st_ino)")
      }
    }
    return found
  }

  /// Whether there is one now.
  var isThere: Bool { !files.isEmpty }

  /// Whether a file was removed while journald wrote to it, since it was last asked.
  func isRemoved() -> Bool {
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
