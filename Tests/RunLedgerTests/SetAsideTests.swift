import Glibc
import Systemd
import TestSupport
import Testing

@testable import RunLedger

/// A ledger is set aside, and the power is cut meanwhile.
@Suite struct SetAsideTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// How far it has come.
  private enum Phase {
    /// The mark of the damage is being written.
    case marking
    /// The mark is there: the old ledger counts no more.
    case marked
    /// The new ledger has its place in the journal, and the mark is being removed.
    case begun
    /// Only the new ledger counts.
    case done
  }

  private let damage = LedgerDamage(reason: "seen", since: 42)

  /// Starts with the files that a power cut has left. In no phase may this look like the first start.
  private func check(_ state: RecordedFiles.State, _ phase: Phase) throws {
    let copy = try TemporaryDirectory()
    for (name, bytes) in state {
      let file = try OwnedDescriptor.open2("\(copy.path)/\(name)", O_WRONLY | O_CREAT)
      #expect(write(file.rawValue, bytes, bytes.count) == bytes.count)
    }
    let ledger = try Ledger.openForFollowing(stateDirectory: copy.path)
    let names = state.keys.sorted()
    if let damage = ledger.damage {
      #expect(phase != .done, "the new ledger was set aside: \(names)")
      #expect(damage.since <= 42, "\(names)")
      return
    }
    switch (phase, try ledger.position(of: "local")) {
    case (.marking, .from(40)), (.begun, .from(42)), (.done, .from(42)): break
    case (_, let position): Issue.record("\(phase): \(names) is followed from \(String(describing: position))")
    }
  }

  @Test func aPowerCutNeverMakesItTheFirstStart() throws {
    let path = directory.path
    var old: Ledger? = try Ledger(stateDirectory: path)
    try old?.begin([.init(reader: "local", at: .from(40))])
    try old?.makeDurable()
    old = nil
    let files = RecordedFiles(in: path)
    var phase = Phase.marking
    var count = 0
    files.onChange = {
      for state in files.states {
        try check(state, phase)
        count += 1
      }
    }
    old = try Ledger(stateDirectory: path)
    old?.files = files
    #expect(old?.markDamaged(damage) == true)
    phase = .marked
    try files.onChange()
    old = nil

    let new = try Ledger.openForFollowing(stateDirectory: path, files: files)
    #expect(new.damage?.since == 42)
    try files.noteMade(["journalhook.db", "journalhook.db-wal", "journalhook.db-complete"])
    try new.recordLoss(damage)
    try new.begin([.init(reader: "local", at: .from(42))])
    phase = .begun
    try new.makeDurable()
    new.removeDamageMark()
    phase = .done
    try files.onChange()
    #expect(count > 20)
  }

  @Test func aNewDirectoryIsOnDisk() throws {
    let files = RecordedFiles(in: directory.path)
    try Ledger.makeDirectory("\(directory.path)/a/b", files: files)
    #expect(files.synced == [directory.path, "\(directory.path)/a"])
    try Ledger.makeDirectory("\(directory.path)/a/b", files: files)
    #expect(files.synced.count == 2)
  }
}
