import Glibc
import Testing

/// `journalhook events` on journal files made of the recordings.
@Suite struct EventsTests {
  private static let fixtures = "\(repository)/Tests/LifecycleTests/Fixtures"

  /// The events of the recording without the marks.
  private func expected(_ name: String) -> [String] {
    shell("grep -v '^##' '\(Self.fixtures)/\(name).events'").output.split(separator: "\n").map(String.init)
  }

  private func withJournal(_ name: String, _ body: (String) throws -> Void) rethrows {
    let directory = shell("mktemp -d").output.filter { !$0.isNewline }
    defer { _ = shell("rm -r '\(directory)'") }
    let file = "\(directory)/\(name).journal"
    let made = shell("/lib/systemd/systemd-journal-remote -o '\(file)' '\(Self.fixtures)/\(name).export'")
    #expect(made.status == 0, "\(made.output)")
    try body(file)
  }

  @Test(arguments: ["v247", "v252"]) func aRecordingHasItsEvents(_ name: String) throws {
    withJournal(name) { file in
      let since = shell("journalctl --file '\(file)' -t mark -o short-unix -n 1 --no-pager -r | cut -d' ' -f1").output
      #expect(!since.isEmpty)
      // From the first mark on: the recording does not list the events of the boot before it.
      let first = shell(
        "journalctl --file '\(file)' -t mark -o short-unix --no-pager | grep -v '^--' | head -n 1 | cut -d' ' -f1"
      ).output.filter { !$0.isNewline }
      let result = journalhook("events --file '\(file)' --since @\(first)")
      #expect(result.status == 0)
      let lines = result.output.split(separator: "\n").map { line in
        // Without the time, the host and the exit statuses.
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
          "\"event\":\"stopped\",\"unit\":\"maxscale.service\",\"result\":\"signal\",\"restart_job\":false") == true)
      #expect(events("-o json").count == all.count)
    }
  }

  /// The last events are found by reading boots from the newest on. They are the same as when everything is read.
  @Test(arguments: ["v247", "v252"]) func theLastAndTheReversedEventsAreThoseOfTheWhole(_ name: String) throws {
    withJournal(name) { file in
      func events(_ arguments: String) -> [Substring] {
        journalhook("events --file '\(file)' \(arguments)").output.split(separator: "\n")
      }
      let all = events("")
      for count in [1, 3, 17, 1000] {
        #expect(events("-n \(count)") == Array(all.suffix(count)))
        #expect(events("-r -n \(count)") == Array(all.suffix(count).reversed()))
      }
      #expect(events("-r") == Array(all.reversed()))
      #expect(events("-n") == Array(all.suffix(10)))
      #expect(events("-n all") == all)
      #expect(events("-b") == all)
      #expect(events("-b 1") == all)
      #expect(events("-b -0") == all)
      #expect(events("-u maxscale -n 2") == Array(events("-u maxscale").suffix(2)))
      #expect(events("-u maxscale") == events("-u 'maxscal[e].service'"), "read by name, and from all entries")
      #expect(events("-uhttpd -n1 -ojson") == events("-u httpd -n 1 -o json"))
      let missing = journalhook("events --file '\(file)' -b -1")
      #expect(missing.status == 1)
      #expect(missing.output.contains("does not have this boot"), "\(missing.output)")
    }
  }

  @Test func formats() {
    withJournal("v252") { file in
      func events(_ arguments: String) -> String {
        journalhook("events --file '\(file)' -n 1 \(arguments)").output
      }
      #expect(events("-o cat") == "maxscale.service failed signal (killed, status 9)\n")
      #expect(
        events("-o short-iso --utc")
          == "2026-11-22T20:07:51.761874+00:00 box maxscale.service failed signal (killed, status 9)\n")
      #expect(events("-o short --utc").hasPrefix("Nov 22 20:07:51.761874 box "))
      let pretty = events("-o json-pretty")
      #expect(pretty.hasPrefix("{\n\t\"id\" : \""))
      #expect(pretty.contains("\n\t\"unit\" : \"maxscale.service\",\n"))
      #expect(pretty.hasSuffix("\n}\n"))
    }
  }

  @Test func aPagerOnlyOnTerminals() {
    withJournal("v252") { file in
      let events = "'\(binary)' events --file '\(file)' -n 1"
      let pager = "SYSTEMD_PAGER='sed s/^/paged:/'"
      func onTerminal(_ arguments: String) -> String {
        shell("\(pager) TERM=xterm script -qec \"\(events) \(arguments)\" /dev/null").output
      }
      #expect(onTerminal("").hasPrefix("paged:"))
      #expect(!onTerminal("--no-pager").contains("paged:"))
      #expect(!shell("\(pager) \(events)").output.contains("paged:"))
    }
  }

  @Test func colourOnlyForTerminals() {
    withJournal("v252") { file in
      #expect(!journalhook("events --file '\(file)'").output.contains("\u{1B}"))
      let onTerminal = "TERM=xterm script -qec \"'\(binary)' events --no-pager --file '\(file)' -n 1\" /dev/null"
      #expect(shell("env -u NO_COLOR \(onTerminal)").output.contains("\u{1B}["))
      #expect(!shell("NO_COLOR=1 \(onTerminal)").output.contains("\u{1B}["))
    }
  }
}
