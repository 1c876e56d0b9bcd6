import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

@Suite struct ConfigurationTests {
  private func parse(_ texts: String...) -> ConfigurationParser {
    var parser = ConfigurationParser()
    for (index, text) in texts.enumerated() { parser.add(Array(text.utf8), file: "\(index)") }
    return parser
  }

  @Test func hasDefaults() {
    let parser = parse("")
    #expect(parser.diagnostics.isEmpty)
    #expect(parser.configuration.jobs == 64)
    #expect(parser.configuration.defaultTimeout == .minutes(2))
    #expect(parser.configuration.historyKeep.time == TimeSpan.seconds(30 * 86400))
    #expect(parser.configuration.historyKeep.runs == 100_000)
  }

  @Test func laterFilesChangeSingleKeysAndAnEmptyValueResets() {
    let parser = parse("[Follow]\nJobs=3\nDefaultTimeoutSec=0\nX-Mine=1\n[X-Other]\na=b\n", "[Follow]\nJobs=\n")
    #expect(parser.diagnostics.isEmpty)
    #expect(parser.configuration.jobs == 64)
    #expect(parser.configuration.defaultTimeout == .infinity)
  }

  @Test(
    arguments: [
      ("90d", .seconds(90 * 86400), nil), ("500", .infinity, 500), ("1h 30min 20", .seconds(5400), 20),
      ("7 2w", .seconds(14 * 86400), 7), ("infinity", .infinity, nil), ("infinity 9", .infinity, 9),
    ] as [(String, TimeSpan, UInt32?)])
  func historyIsKeptForATimeOrANumber(text: String, time: TimeSpan, runs: UInt32?) {
    let parser = parse("[Follow]\nHistoryKeep=\(text)\n")
    #expect(parser.diagnostics.isEmpty)
    #expect(parser.configuration.historyKeep.time == time)
    #expect(parser.configuration.historyKeep.runs == runs)
  }

  @Test(arguments: [
    ("[Follow]\nJobs=0", "0:2: error: Jobs=: at least 1 run must be allowed"),
    ("[Follow]\nJobs=many", "0:2: error: Jobs=: 'many' is not a number"),
    ("[Follow]\n\nDefaultTimeoutSec=soon", "0:3: error: DefaultTimeoutSec=: "),
    ("[Follow]\nHistoryKeep=30 100", "0:2: error: HistoryKeep=: '30 100' has two numbers of runs"),
    ("[Follow]\nHistoryKeep=0", "0:2: error: HistoryKeep=: at least 1"),
    ("[Follow]\nHistoryKeep=100,000", "0:2: error: HistoryKeep=: "),
    ("[Follow]\nHistoryKep=1", "0:2: warning: unknown key HistoryKep=, ignored; did you mean HistoryKeep=?"),
    ("[Folow]\nJobs=1", "0:1: warning: unknown section [Folow], ignored; did you mean Follow?"),
    ("Jobs=1", "0:1: error: Jobs= stands before the first [Section]"),
  ])
  func reportsProblemsWithTheirLines(text: String, message: String) {
    let parser = parse(text)
    #expect(parser.diagnostics.map(\.description).first?.hasPrefix(message) == true, "\(parser.diagnostics)")
    #expect(parser.configuration == Configuration())
  }
}
