import Glibc
import Testing

/// What a power cut at any moment leaves of a ledger.
///
/// `JOURNALHOOK_POWER_CUTS=N` takes N states at each moment that has too many for all of them.
@Suite struct PowerCutTests {
  private static var cuts: PowerCuts {
    var cuts = PowerCuts()
    if let number = getenv("JOURNALHOOK_POWER_CUTS").flatMap({ Int(String(cString: $0)) }) {
      cuts.sample = number
      cuts.limit = 10
    }
    return cuts
  }

  /// Few states, for faults that many of them show.
  private static let fewCuts = PowerCuts(sample: 4, limit: 3)

  private func check(_ findings: PowerCuts.Findings, _ name: String) {
    print("Power cuts in \(name): \(findings.text)")
    #expect(findings.faults.isEmpty, "\(name): \(findings.text)")
    #expect(findings.opened > 100)
    #expect(findings.mostLost > 2, "no state was behind")
  }

  @Test func noRunIsLostThatTheCursorHasPassed() throws {
    check(try Self.cuts.find(in: try LedgerLife.whole()), "a life from the first start on")
  }

  @Test(arguments: [1, 5]) func aMigrationIsDoneOrNot(version: Int64) throws {
    let (life, old) = try LedgerLife.migrated(from: version)
    var platter = Platter()
    platter.load(LedgerLife.database, old, file: 1)
    check(try Self.cuts.find(in: life, from: platter), "the migration of version \(version)")
  }

  // MARK: The faults that it is to find

  @Test func aCursorThatIsCommittedBeforeTheRunsIsFound() throws {
    let findings = try Self.fewCuts.find(in: try LedgerLife.whole(fault: .cursorFirst))
    #expect(findings.faults["an event that the cursor has passed has no run"] ?? 0 > 3, "\(findings.text)")
  }

  @Test func aDatabaseThatIsNotSyncedIsFound() throws {
    let findings = try Self.fewCuts.find(in: try LedgerLife.whole(fault: .synchronousOff))
    #expect(findings.faults["the cursor is before one that was on the disk"] ?? 0 > 3, "\(findings.text)")
    #expect(findings.faults.keys.contains { $0.contains("damaged") || $0.contains("set aside") }, "\(findings.text)")
  }

  @Test func aDirectoryThatIsNotSyncedIsFound() throws {
    let life = try LedgerLife.whole()
    let record = life.disk.record.filter { if case .syncDirectory = $0 { false } else { true } }
    let findings = try Self.fewCuts.find(in: life, record: record)
    #expect(findings.faults["the cursor is before one that was on the disk"] ?? 0 > 3, "\(findings.text)")
  }
}
