import Glibc
import JournalHookDaemon
import Systemd
import Testing

/// What inotify has queued, before the loop has told of it.
@Suite struct FolderWatcherTests {
  @Test func changesAreTakenAtOnce() throws {
    let folder = try TemporaryFolder()
    let watcher = FolderWatcher(loop: try EventLoop()) {}
    #expect(watcher.watch(contentsOf: [folder.path], linked: []) == nil)
    #expect(!watcher.takeChange())
    let path = try folder.file("x")
    #expect(watcher.takeChange())
    #expect(!watcher.takeChange())
    // A file that is being written in place is neither what it was nor what it will be.
    do {
      let file = try OwnedDescriptor.open(path, O_WRONLY | O_TRUNC)
      #expect(write(file.rawValue, "#!", 2) == 2)
      #expect(!watcher.takeChange())
    }
    #expect(watcher.takeChange())
    for command in ["mv \(path) \(path).old", "chmod 700 \(path).old", "rm \(path).old"] {
      run(command)
      #expect(watcher.takeChange(), "\(command)")
    }
    #expect(!watcher.takeChange())
  }
}
