import Glibc
import Testing

/// `journalhook events` on journal files made of the recordings.
@Suite struct EventsTests {
  private static let fixtures = "\(repository)/Tests/JournalHookCoreTests/Fixtures"

  /// The events of the recording without the marks.
  private func expected(_ name: String) -> [String] {
    shell("grep -v '^##' '\(Self.fixtures)/\(name).events'").output.split(separator: "\n").map(String.init)
  }

  private func withJournal(_ name: String, _ body: (String) throws -> Void) rethrows {
    let folder = shell("mktemp -d").output.filter { !$0.isNewline }
    defer { _ = shell("rm -r '\(folder)'") }
    let file = "\(folder)/\(name).journal"
    let made = shell("/lib/systemd/systemd-journal-remote -o '\(file)' '\(Self.fixtures)/\(name).export'")
    #expect(made.status == 0, "\(made.output)")
    try body(file)
  }

  @Test(arguments: ["v247", "v252"]) func aRecordingTellsItsEvents(_ name: String) throws {
    withJournal(name) { file in
      let since = shell("journalctl --file '\(file)' -t mark -o short-unix -n 1 --no-pager -r | cut -d' ' -f1").output
      #expect(!since.isEmpty)
      // From the first mark on, as the recording lists them; what boot logs before it is not listed.
      let first = shell(
        "journalctl --file '\(file)' -t mark -o short-unix --no-pager | grep -v '^--' | head -n 1 | cut -d' ' -f1"
      ).output.filter { !$0.isNewline }
      let result = journalhook("events --file '\(file)' --since @\(first)")
      #expect(result.status == 0)
      let lines = result.output.split(separator: "\n").map { line in
        // Without time, host and the ends of processes.
        let words = line.split(separator: " ").dropFirst(4).map(String.init)
        let kind = words[1]
        let kept = words.prefix { !$0.hasPrefix("(") }
        return kept.filter { !(kind == "restarted" && $0 == "auto") && !(kind == "reload-failed" && $0 == "failed") }
          .joined(separator: " ")
      }
      #expect(lines == expected(name))
    }
  }

  @Test func filtersAndFormats() throws {
    withJournal("v252") { file in
      func events(_ arguments: String) -> [Substring] {
        journalhook("events --file '\(file)' \(arguments)").output.split(separator: "\n")
      }
      let all = events("")
      #expect(events("-n 3") == Array(all.suffix(3)))
      #expect(events("-n 0").isEmpty)
      #expect(events("-u httpd").allSatisfy { $0.contains(" httpd.service ") })
      #expect(events("-u httpd.service") == events("-u httpd"))
      #expect(events("-u 'dep-*' -u httpd").count == events("-u httpd").count + events("-u 'dep-*'").count)
      #expect(events("-e stopped -u maxscale").count == 6)
      #expect(events("--since 2030-01-01").isEmpty)
      #expect(events("--until 2020-01-01").isEmpty)
      let json = events("-o json -u maxscale -e stopped -n 1")
      #expect(json.count == 1)
      #expect(
        json.first?.contains(
          "\"event\":\"stopped\",\"unit\":\"maxscale.service\",\"result\":\"signal\",\"restart\":false") == true)
      #expect(events("-o json").count == all.count)
    }
  }

  @Test func colourOnlyForTerminals() {
    withJournal("v252") { file in
      #expect(!journalhook("events --file '\(file)'").output.contains("\u{1B}"))
      #expect(
        shell(
          "env -u NO_COLOR TERM=xterm script -qec \"'\(binary)' events --file '\(file)' -n 1 --no-pager\" /dev/null"
        ).output
          .contains(
            "\u{1B}["))
      #expect(
        !shell("NO_COLOR=1 TERM=xterm script -qec \"'\(binary)' events --file '\(file)' -n 1 --no-pager\" /dev/null")
          .output
          .contains("\u{1B}["))
    }
  }
}
