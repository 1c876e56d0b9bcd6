import Systemd
import TestSupport
import Testing

@testable import EventReading
@testable import HookFiles
@testable import Hooks
@testable import JournalHookDaemon
@testable import Lifecycle
@testable import Processes
@testable import RunLedger
@testable import Runs
@testable import TrustedFiles

@Suite struct CatalogTests {
  /// The entries of contrib/journalhook.catalog, in the form of systemd.io/CATALOG.
  private let entries: [(id: String, lines: [Substring])]

  init() throws {
    let path =
      #filePath.dropLast("/Tests/JournalHookDaemonTests/CatalogTests.swift".count) + "/contrib/journalhook.catalog"
    let bytes = try OwnedDescriptor.open(String(path), 0).read(limit: 1 << 20)
    var entries: [(id: String, lines: [Substring])] = []
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("-- ") {
        entries.append((String(line.dropFirst(3)), []))
      } else if !entries.isEmpty {
        entries[entries.count - 1].lines.append(line)
      }
    }
    self.entries = entries
  }

  @Test func everyMessageIsExplainedAndNothingElse() {
    #expect(Set(entries.map(\.id)) == Set(MessageID.allCases.map(\.rawValue)))
    #expect(entries.count == MessageID.allCases.count)
  }

  @Test func entriesSayWhatPeopleNeed() {
    for entry in entries {
      #expect(entry.lines.first?.hasPrefix("Subject: ") == true, "\(entry.id)")
      #expect(entry.lines.dropFirst().first == "Defined-By: journalhook", "\(entry.id)")
      // journalctl shows them behind a mark of three characters, on terminals of 80 columns mostly.
      for line in entry.lines { #expect(line.count <= 90, "\(line)") }
      #expect(entry.lines.filter { !$0.isEmpty }.count > 5, "\(entry.id)")
    }
  }

  /// Fields that a message may lack would show as @FIELD@.
  @Test func onlyFieldsOfRunsAreNamed() {
    let names: Set = ["HOOK", "UNIT", "EVENT", "RUN_ID", "ATTEMPT", "MODE", "STATE", "CURSOR"]
    for entry in entries {
      let words = entry.lines.joined(separator: "\n").split(separator: "@", omittingEmptySubsequences: false)
      for field in words.enumerated().filter({ $0.offset % 2 == 1 }).map(\.element) {
        #expect(field.hasPrefix("JOURNALHOOK_") && names.contains(String(field.dropFirst(12))), "\(entry.id): \(field)")
      }
    }
  }
}
