import Glibc
import TestSupport
import Testing

@testable import Systemd

/// Changes that inotify has queued, before the event loop reports them.
@Suite struct DirectoryWatcherTests {
  @Test func changesAreTakenAtOnce() throws {
    let directory = try TemporaryDirectory()
    let loop = try EventLoop()
    let watcher = DirectoryWatcher(loop: loop, timers: try LoopTimers(loop)) {}
    #expect(watcher.watch(contentsOf: [directory.path], links: []) == nil)
    #expect(!watcher.takeChange())
    let path = try directory.file("x")
    #expect(watcher.takeChange())
    #expect(!watcher.takeChange())
    // A file that is being overwritten has neither its old nor its new content.
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

  @Test func everyLinkOnThePathIsWatched() throws {
    let directory = try TemporaryDirectory()
    run(
      """
      cd \(directory.path); mkdir -p hooks opt/v2 opt/v3 real; echo old >opt/v2/x; echo new >opt/v3/x
      ln -s v2 opt/current; ln -s \(directory.path)/opt/current/x hooks/x; ln -s real hooks.link
      """)
    let loop = try EventLoop()
    let watcher = DirectoryWatcher(loop: loop, timers: try LoopTimers(loop)) {}
    func watch() {
      let error = watcher.watch(
        contentsOf: ["hooks", "hooks.link"].map { "\(directory.path)/\($0)" }, links: ["\(directory.path)/hooks/x"])
      #expect(error == nil)
      #expect(!watcher.takeChange())
    }
    let changes = [
      "ln -s v3 opt/next; mv -T opt/next opt/current", "echo newer >opt/v3/x", "mv opt/v3 opt/v4", "mv opt/v4 opt/v3",
      "echo x >real/y", "mv real unreal; mkdir real", "rm hooks.link", "ln -s real hooks.link",
    ]
    for change in changes {
      watch()
      run("cd \(directory.path); echo x >opt/other; echo x >opt/v3/other; echo x >other")
      #expect(!watcher.takeChange(), "before \(change)")
      run("cd \(directory.path); \(change)")
      #expect(watcher.takeChange(), "\(change)")
    }
  }
}
