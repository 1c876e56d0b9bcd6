import Glibc
import Systemd
import TestSupport
import Testing

@testable import HookFiles
@testable import Hooks

/// Hooks as they are found in directories.
@Suite struct HookStoreTests {
  let directory: TemporaryDirectory
  let store: HookStore

  init() throws {
    directory = try TemporaryDirectory()
    for name in ["etc", "usr"] { _ = directory.directory(name) }
    let path = directory.path
    // The one in the middle does not exist, as most do not.
    store = HookStore(directories: ["etc", "run", "usr"].map { "\(path)/\($0)" })
  }

  private func definition(_ description: String, _ lines: String = "Exec=/bin/true") -> String {
    "[Match]\nUnit=a.service\nEvent=stopped\n[Hook]\nDescription=\(description)\n\(lines)\n"
  }

  private func script(_ description: String, _ body: String = "true") -> String {
    "#!/bin/sh\n# [Match]\n# Unit=a.service\n# Event=stopped\n# [Hook]\n# Description=\(description)\n\(body)\n"
  }

  private func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
    _ = try directory.file(name, text, mode: mode)
  }

  /// Writes a file as those do who do not write into it: under another name, which is then changed.
  private func replace(_ name: String, _ text: String, mode: mode_t = 0o755) throws {
    let path = try directory.file("new", text, mode: mode)
    #expect(rename(path, "\(directory.path)/\(name)") == 0)
  }

  private func isMissing(_ name: String) -> Bool { store.hook(named: name) == nil }

  private func description(_ name: String) -> String? { store.hook(named: name)?.definition.description }

  private func status(_ name: String) -> String? { store.entries.first { $0.name == name }?.status.name }

  // MARK: Directories

  @Test func theFirstDirectoryWithAFileOfANameWins() throws {
    try write("usr/h.hook", definition("usr"))
    try write("usr/i.hook", definition("usr"))
    try store.load()
    #expect(description("h") == "usr")
    try write("etc/h.hook", definition("etc"))
    try store.load()
    #expect(store.diagnostics.isEmpty)
    #expect(description("h") == "etc" && description("i") == "usr")
    #expect(store.hook(named: "h")?.hook.path == "\(directory.path)/etc/h.hook")
    unlink("\(directory.path)/etc/h.hook")
    try store.load()
    #expect(description("h") == "usr")
  }

  @Test func aBrokenFileHidesThoseOfItsNameToo() throws {
    try write("usr/h.hook", definition("usr"))
    try write("etc/h.hook", definition("etc", ""))
    try store.load()
    #expect(isMissing("h") && status("h") == "broken")
    #expect(store.absence(of: "h")?.hasPrefix("hook h is broken: ") == true)
  }

  @Test func hooksAreInTheOrderOfTheirNames() throws {
    for name in ["etc/50-b.hook", "usr/50-a.hook", "usr/10-z.hook"] { try write(name, definition("")) }
    try write("etc/50-aa", script(""), mode: 0o755)
    try store.load()
    #expect(store.hooks.map(\.name) == ["10-z", "50-a", "50-aa", "50-b"])
  }

  @Test func twoFilesOfOneNameAreBothBroken() throws {
    try write("etc/h.hook", definition("one"))
    try write("usr/h", script("two"), mode: 0o755)
    try store.load()
    #expect(store.hooks.isEmpty)
    #expect(store.entries.map(\.status.name) == ["broken", "broken"])
    #expect(
      store.diagnostics.allSatisfy { $0.message.hasPrefix("two files define a hook named 'h': the other one is ") })
  }

  @Test(arguments: [
    "h.hook~", ".h.hook", "h.hook.dpkg-dist", "h.hook.rpmsave", "h.hook.disabled", "README.md", ".hook",
  ])
  func someFilesArePassedOver(_ name: String) throws {
    try write("etc/\(name)", definition(""), mode: 0o755)
    try store.load()
    #expect(store.entries.isEmpty && store.diagnostics.isEmpty)
  }

  // MARK: Masks

  @Test(arguments: [true, false]) func aMaskHidesTheFilesBehindIt(isLink: Bool) throws {
    try write("usr/h.hook", definition("usr"))
    if isLink { _ = directory.link("etc/h.hook", to: "/dev/null") } else { try write("etc/h.hook", "") }
    try store.load()
    #expect(isMissing("h") && status("h") == "masked")
    #expect(store.diagnostics.isEmpty)
    #expect(store.absence(of: "h") == "hook h is masked (\(directory.path)/etc/h.hook)")
    unlink("\(directory.path)/etc/h.hook")
    try store.load()
    #expect(description("h") == "usr")
  }

  @Test func aMaskBehindTheFirstFileHidesNothing() throws {
    try write("etc/h.hook", definition("etc"))
    try write("usr/h.hook", "")
    try store.load()
    #expect(description("h") == "etc")
  }

  // MARK: Drop-ins

  struct DropIns: Sendable, CustomTestStringConvertible {
    var name: String
    /// What the drop-ins are called, each with the `Description=` that it sets; nil: it is a mask.
    var files: [(name: String, description: String?)]
    var description: String?
    /// The drop-ins that were merged, in their order.
    var merged: [String]
    var testDescription: String { name }
  }

  static let dropIns = [
    DropIns(name: "none", files: [], description: "main", merged: []),
    DropIns(
      name: "one in the directory of the hook", files: [("usr/h.d/a.conf", "a")], description: "a",
      merged: ["usr/h.d/a.conf"]),
    DropIns(
      name: "one in another directory", files: [("etc/h.d/a.conf", "a")], description: "a", merged: ["etc/h.d/a.conf"]),
    DropIns(
      name: "they are merged by their names, wherever they are",
      files: [("etc/h.d/20.conf", "20"), ("usr/h.d/30.conf", "30"), ("usr/h.d/10.conf", "10")], description: "30",
      merged: ["usr/h.d/10.conf", "etc/h.d/20.conf", "usr/h.d/30.conf"]),
    DropIns(
      name: "of one name the first directory wins", files: [("etc/h.d/a.conf", "etc"), ("usr/h.d/a.conf", "usr")],
      description: "etc", merged: ["etc/h.d/a.conf"]),
    DropIns(
      name: "a mask hides those of its name", files: [("etc/h.d/a.conf", nil), ("usr/h.d/a.conf", "usr")],
      description: "main", merged: []),
    DropIns(
      name: "an empty value resets the key", files: [("etc/h.d/a.conf", "")], description: nil,
      merged: ["etc/h.d/a.conf"]),
  ]

  @Test(arguments: dropIns) func dropInsAreMerged(_ test: DropIns) throws {
    try write("usr/h.hook", definition("main"))
    for name in ["etc/h.d", "usr/h.d"] { _ = directory.directory(name) }
    for file in test.files {
      if let description = file.description {
        try write(file.name, "[Hook]\nDescription=\(description)\n")
      } else {
        _ = directory.link(file.name, to: "/dev/null")
      }
    }
    try store.load()
    #expect(store.diagnostics.isEmpty)
    #expect(description("h") == test.description)
    #expect(store.hook(named: "h")?.hook.dropIns == test.merged.map { "\(directory.path)/\($0)" })
  }

  @Test func aScriptHasDropInsToo() throws {
    try write("usr/h", script("main"), mode: 0o755)
    _ = directory.directory("etc/h.d")
    try write("etc/h.d/a.conf", "[Hook]\nDescription=a\n")
    try store.load()
    #expect(description("h") == "a")
  }

  @Test func aHookIsRefusedIfADropInIsNotTrusted() throws {
    try write("usr/h.hook", definition("main"))
    _ = directory.directory("etc/h.d")
    try write("etc/h.d/a.conf", "[Hook]\nDescription=a\n", mode: 0o666)
    try store.load()
    #expect(isMissing("h") && status("h") == "refused")
    chmod("\(directory.path)/etc/h.d/a.conf", 0o644)
    chmod("\(directory.path)/etc/h.d", 0o777)
    try store.load()
    #expect(isMissing("h") && status("h") == "refused")
    chmod("\(directory.path)/etc/h.d", 0o755)
    try store.load()
    #expect(description("h") == "a")
  }

  @Test(arguments: [
    ("etc/stray.conf", "ignored: a drop-in belongs in the directory of its hook, NAME.d"),
    ("etc/h.d/note.txt", "ignored: the name of a drop-in ends with .conf"),
    ("etc/i.d/a.conf", "ignored: there is no hook 'i'; did you mean h.d?"),
    ("etc/h.hook.d/a.conf", "ignored: the drop-ins of h.hook belong in h.d"),
  ])
  func aDropInThatCountsForNothingIsReported(_ name: String, _ message: String) throws {
    try write("usr/h.hook", definition("main"))
    for name in ["etc/h.d", "etc/i.d", "etc/h.hook.d"] { _ = directory.directory(name) }
    try write(name, "[Hook]\nDescription=a\n")
    try store.load()
    #expect(description("h") == "main")
    #expect(store.diagnostics.map(\.severity) == [.warning])
    #expect(store.diagnostics.map(\.message) == [message])
  }

  // MARK: Changes

  @Test func aDefinitionThatBreaksKeepsWhatItSaid() throws {
    try write("etc/h.hook", definition("good"))
    try store.load()
    let good = try #require(store.hook(named: "h"))
    try write("etc/h.hook", definition("broken", "Exec=/bin/true\nTimeoutSec=?"))
    try store.load()
    #expect(status("h") == "changed")
    #expect(store.hook(named: "h") == good)
    #expect(store.diagnostics.map(\.severity) == [.error])
    // However often it is read.
    try store.load()
    #expect(store.hook(named: "h") == good)
    try write("etc/h.hook", definition("better"))
    try store.load()
    #expect(status("h") == "active" && description("h") == "better" && store.diagnostics.isEmpty)
  }

  struct Change: Sendable, CustomTestStringConvertible {
    var name: String
    /// What is done to the hook, which was good.
    var change: @Sendable (HookStoreTests) throws -> Void
    var status: String?
    var testDescription: String { name }
  }

  static let changes = [
    Change(
      name: "a script that breaks does not run under its old definition",
      change: { try $0.write("etc/h", "#!/bin/sh\n# [Match]\n# Unit=a.service\ntrue\n", mode: 0o755) },
      status: "broken"),
    Change(
      name: "a definition of another directory was another one",
      change: {
        unlink("\($0.directory.path)/etc/h.hook")
        try $0.write("usr/h.hook", $0.definition("usr", ""))
      }, status: "broken"),
    Change(
      name: "a definition that others may change",
      change: { #expect(chmod("\($0.directory.path)/etc/h.hook", 0o666) == 0) }, status: "refused"),
    Change(
      name: "a definition whose program is missing",
      change: { try $0.write("etc/h.hook", $0.definition("", "Exec=/nonexistent")) }, status: "broken"),
    Change(name: "a definition that is gone", change: { unlink("\($0.directory.path)/etc/h.hook") }, status: nil),
  ]

  @Test(arguments: changes) func nothingElseKeepsWhatItSaid(_ test: Change) throws {
    let isScript = test.name.contains("script")
    if isScript {
      try write("etc/h", script("good"), mode: 0o755)
    } else {
      try write("etc/h.hook", definition("good"))
    }
    try store.load()
    #expect(description("h") == "good")
    try test.change(self)
    try store.load()
    #expect(isMissing("h"))
    #expect(status("h") == test.status)
  }

  @Test func aDefinitionThatWasNeverGoodIsBroken() throws {
    try write("etc/h.hook", definition("", "Exec=/bin/true\nTimeoutSec=?"))
    try store.load()
    #expect(isMissing("h") && status("h") == "broken")
  }

  // MARK: Programs

  private func open(_ name: String) throws -> (description: String?, path: String) {
    let opened = try store.open(name)
    return (opened.hook.definition.description, opened.hook.programPath)
  }

  @Test func theOpenedProgramIsTheOneThatWasLoaded() throws {
    try write("etc/h", script("one"), mode: 0o755)
    try store.load()
    let loaded = try #require(store.hook(named: "h")).program
    _ = try loaded.open()
    #expect(try open("h") == ("one", "\(directory.path)/etc/h"))
    try replace("etc/h", script("two"))
    #expect { _ = try loaded.open() } throws: { ($0 as? HookError)?.kind == .changed }
  }

  @Test(arguments: [true, false]) func aChangedProgramIsOpenedWithItsNewDefinition(isReplaced: Bool) throws {
    try write("etc/h", script("one"), mode: 0o755)
    try store.load()
    var loads = 0
    store.onLoadWhileOpening = { loads += 1 }
    #expect(try open("h").description == "one")
    #expect(loads == 0)
    if isReplaced {
      try replace("etc/h", script("two"))
    } else {
      try write("etc/h", script("two", "false"), mode: 0o755)
    }
    #expect(try open("h").description == "two")
    #expect(loads == 1)
    #expect(try open("h").description == "two")
    #expect(loads == 1)
  }

  @Test func aChangedProgramOfExecIsFoundAgain() throws {
    try write("usr/program", "#!/bin/sh\n", mode: 0o755)
    try write("etc/h.hook", definition("h", "Exec=program"))
    try store.load()
    let old = try #require(store.hook(named: "h")).program
    try replace("usr/program", "#!/bin/sh\nfalse\n")
    #expect(try open("h").path == "\(directory.path)/usr/program")
    #expect(store.hook(named: "h")?.program != old)
    // One of a directory that comes first is the program from the next load on.
    try write("etc/program", "#!/bin/sh\n", mode: 0o755)
    #expect(try open("h").path == "\(directory.path)/usr/program")
    try store.load()
    #expect(try open("h").path == "\(directory.path)/etc/program")
  }

  struct Refusal: Sendable, CustomTestStringConvertible {
    var name: String
    var change: @Sendable (HookStoreTests) throws -> Void
    /// How the reason begins.
    var reason: String
    var testDescription: String { name }
  }

  static let refusals = [
    Refusal(
      name: "it is gone", change: { unlink("\($0.directory.path)/etc/h") }, reason: "the hook no longer exists"),
    Refusal(
      name: "it is masked", change: { try $0.write("etc/h", "", mode: 0o755) },
      reason: "the hook is masked or is being changed"),
    Refusal(
      name: "it has a broken definition",
      change: { try $0.replace("etc/h", "#!/bin/sh\n# [Match]\n# Unit=a.service\n") },
      reason: "/"),
    Refusal(
      name: "others may change it", change: { #expect(chmod("\($0.directory.path)/etc/h", 0o777) == 0) }, reason: "/"),
    Refusal(
      name: "it is not executable any more", change: { #expect(chmod("\($0.directory.path)/etc/h", 0o644) == 0) },
      reason: "/"),
    Refusal(
      name: "it is no hook any more", change: { try $0.replace("etc/h", "#!/bin/sh\ntrue\n") },
      reason: "the hook no longer exists"),
  ]

  @Test(arguments: refusals) func whatWasLoadedAndCannotBeRunIsRefused(_ test: Refusal) throws {
    try write("etc/h", script("one"), mode: 0o755)
    try store.load()
    try test.change(self)
    do {
      _ = try open("h")
      Issue.record("it was opened")
    } catch let error as HookError {
      #expect(error.kind == .refused)
      #expect(error.description.replacing(directory.path, with: "").hasPrefix(test.reason), "\(error.description)")
    }
    #expect(isMissing("h"))
  }

  @Test func aHookThatWasNeverThereIsRefused() throws {
    try store.load()
    #expect { _ = try open("h") } throws: { ($0 as? HookError)?.kind == .refused }
    #expect(store.absence(of: "h") == "there is no hook 'h'")
  }

  @Test func aChangedConditionProgramIsReadAgainToo() throws {
    try write("usr/condition", "#!/bin/sh\n", mode: 0o755)
    try write("etc/h.hook", definition("h", "Exec=/bin/true\nExecCondition=condition"))
    try store.load()
    let old = try #require(store.hook(named: "h")).conditionPrograms
    try replace("usr/condition", "#!/bin/sh\nfalse\n")
    _ = try open("h")
    #expect(store.hook(named: "h")?.conditionPrograms != old)
    unlink("\(directory.path)/usr/condition")
    #expect { _ = try open("h") } throws: { ($0 as? HookError)?.kind == .refused }
  }

  // MARK: What is compared

  @Test func theInventoryShowsWhatHasChanged() throws {
    try write("etc/h", script("one"), mode: 0o755)
    try write("etc/i.hook", definition("i"))
    try store.load()
    let before = store.inventory
    try store.load()
    #expect(store.inventory == before)
    try replace("etc/h", script("two"))
    unlink("\(directory.path)/etc/i.hook")
    try write("etc/j.hook", definition("j"))
    try store.load()
    let path = directory.path
    #expect(
      store.inventory.changes(since: before) == [
        .changed(name: "h", path: "\(path)/etc/h"), .removed(name: "i", path: "\(path)/etc/i.hook"),
        .loaded(name: "j", path: "\(path)/etc/j.hook"),
      ])
  }

  @Test func aJournalOfSeveralHostsRequiresHost() throws {
    try write("etc/h.hook", definition("without"))
    try write("etc/i.hook", "[Match]\nUnit=a.service\nEvent=stopped\nHost=web*\n[Hook]\nExec=/bin/true\n")
    let store = HookStore(directories: store.directories, requiresHost: true)
    try store.load()
    #expect(store.hooks.map(\.name) == ["i"])
  }
}
