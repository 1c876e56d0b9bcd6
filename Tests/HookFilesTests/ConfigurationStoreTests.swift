import Glibc
import Systemd
import TestSupport
import Testing

@testable import HookFiles
@testable import Hooks

/// Finding and reading configuration files in directories.
@Suite struct ConfigurationStoreTests {
  let directory: TemporaryDirectory
  let store: ConfigurationStore

  init() throws {
    directory = try TemporaryDirectory()
    for name in ["etc", "etc/j.conf.d", "usr", "usr/j.conf.d"] { _ = directory.directory(name) }
    let path = directory.path
    store = ConfigurationStore(paths: ["etc", "run", "usr"].map { "\(path)/\($0)/j.conf" })
  }

  private func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
    _ = try directory.file(name, text, mode: mode)
  }

  @Test func theFirstFileIsReadAndDropInsAreMergedByName() throws {
    try write("usr/j.conf", "[Follow]\nJobs=1\n")
    try write("usr/j.conf.d/20-x.conf", "[Follow]\nDefaultTimeoutSec=20s\n")
    try write("usr/j.conf.d/30-y.conf", "[Follow]\nDefaultTimeoutSec=30s\n")
    try write("etc/j.conf.d/30-y.conf", "[Follow]\nHistoryKeep=7\n")
    try write("etc/j.conf.d/40-z.txt", "[Follow]\nJobs=40\n")
    try store.load()
    #expect(store.diagnostics.isEmpty)
    #expect(store.configuration.jobs == 1)
    #expect(store.configuration.defaultTimeout == .seconds(20))
    #expect(store.configuration.historyKeep.runs == 7)
    // An empty file masks those in later directories.
    try write("etc/j.conf", "")
    try store.load()
    #expect(store.configuration.jobs == 64)
  }

  @Test func anErrorLeavesTheConfigurationUnchanged() throws {
    try write("etc/j.conf", "[Follow]\nJobs=x\nDefaultTimeoutSec=20s\n")
    try store.load()
    #expect(store.diagnostics.count == 1)
    // The first time, the settings that can be read apply.
    #expect(store.configuration.defaultTimeout == .seconds(20))
    try write("etc/j.conf", "[Follow]\nJobs=5\n")
    try store.load()
    #expect(store.diagnostics.isEmpty && store.configuration.jobs == 5)
    try write("etc/j.conf", "[Follow]\nJobs=6\nDefaultTimeoutSec=?\n")
    try store.load()
    #expect(store.diagnostics.map(\.line) == [3])
    #expect(store.configuration.jobs == 5)
    unlink("\(directory.path)/etc/j.conf")
    try store.load()
    #expect(store.diagnostics.isEmpty && store.configuration == Configuration())
  }

  @Test func filesThatOthersMayWriteAreRefused() throws {
    try write("etc/j.conf", "[Follow]\nJobs=5\n", mode: 0o666)
    try store.load()
    #expect(store.diagnostics.map(\.severity) == [.error])
    #expect(store.configuration.jobs == 64)
    chmod("\(directory.path)/etc/j.conf", 0o644)
    chmod("\(directory.path)/usr/j.conf.d", 0o777)
    try store.load()
    #expect(store.diagnostics.map(\.file) == ["\(directory.path)/usr/j.conf.d"])
    #expect(store.configuration.jobs == 64)
  }
}
