import Glibc
import TestSupport
import Testing

@testable import HookFiles
@testable import Hooks

/// Hooks as they are found in directories.
@Suite struct HookDirectoriesTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    for name in ["hooks", "hooks/examples", "hooks/10-a.hook"] { _ = directory.directory(name) }
  }

  private func load() throws -> HookStore {
    let store = HookStore(directories: ["\(directory.path)/hooks"])
    try store.load()
    return store
  }

  @Test func aDirectoryWithoutHooksIsIgnored() throws {
    _ = try directory.file("hooks/examples/README", "[Match]\n", mode: 0o644)
    _ = try directory.file("hooks/examples/program", "#!/bin/sh\nexit 0\n", mode: 0o755)
    let store = try load()
    #expect(store.directoryProblems.isEmpty)
    // A directory with the name of a hook is not ignored.
    #expect(store.entries.map(\.name) == ["10-a"])
    #expect(store.entries[0].status == .refused)
  }

  @Test(arguments: [
    (name: "50-b.hook", text: "[Match]\n", mode: mode_t(0o644)),
    (name: "50-b", text: "#!/bin/sh\n# [Match]\n# Unit=a.service\n# Event=started\n", mode: 0o755),
  ])
  func aDirectoryWithHooksIsReported(_ file: (name: String, text: String, mode: mode_t)) throws {
    _ = try directory.file("hooks/examples/\(file.name)", file.text, mode: file.mode)
    let store = try load()
    #expect(store.directoryProblems.map(\.severity) == [.warning])
    #expect(store.directoryProblems.map(\.file) == ["\(directory.path)/hooks/examples"])
    #expect(store.entries.map(\.name) == ["10-a"])
  }
}
