import CSystemd
import Glibc
import Systemd
import TestSupport
import Testing

@testable import EventReading
@testable import Lifecycle

@Suite struct JournalDirectoriesTests {
  @Test func missingWatchesAreNoticed() throws {
    let directory = try TemporaryDirectory()
    let directories = [directory.path, directory.directory("a"), directory.path + "/none"]
    // Two names of one directory are one watch.
    let all = Set(directories + [directory.link("b", to: "a")])
    let inotify = OwnedDescriptor(inotify_init1(Int32(IN_CLOEXEC)))
    for directory in directories.prefix(2) {
      #expect(!JournalDirectories.areWatched(all, by: inotify.rawValue))
      #expect(inotify_add_watch(inotify.rawValue, directory, UInt32(IN_CREATE)) >= 0)
    }
    #expect(JournalDirectories.areWatched(all, by: inotify.rawValue))
    try JournalDirectories.probe(all)
  }

  @Test(arguments: [
    (ENOSPC, "fs.inotify.max_user_watches"), (EMFILE, "fs.inotify.max_user_instances"), (ENFILE, "fs.file-max"),
    (EPERM, "SystemCallFilter="), (ENOSYS, "SystemCallFilter="), (ENOMEM, "out of memory"),
  ])
  func theRemedyFitsTheError(_ code: Int32, _ word: String) {
    #expect(SystemError("watch the journal", code: code).watchRemedy.contains(word))
  }
}
