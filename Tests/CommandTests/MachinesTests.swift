import Glibc
import Testing

/// Directories with the journals of several machines, as systemd-journal-remote keeps them.
@Suite struct MachinesTests {
  final class Directory {
    let path: String
    init(in base: String = "/tmp") { path = shell("mktemp -d -p '\(base)'").output.filter { !$0.isNewline } }
    deinit { _ = shell("rm -r '\(path)'") }

    /// Adds entries of a machine, whose id is the letter 32 times, to the file of a sender.
    func add(_ machine: Character, _ numbers: Range<Int>, at start: Int, to sender: String) {
      let id = String(repeating: machine, count: 32)
      let boot = String(repeating: machine, count: 31) + "0"
      let entries = numbers.flatMap { number in
        [
          ("39f53479d3a045ac8e11786248231fbf", "Started", "JOB_ID=\(number + 1)\nJOB_TYPE=start\nJOB_RESULT=done\n"),
          ("7ad2d189f7e94e70a38c781354912448", "Ended", ""),
        ].enumerated().map { index, message in
          """
          __REALTIME_TIMESTAMP=\(start + number * 1_000_000 + index)
          __MONOTONIC_TIMESTAMP=\(number * 1_000_000 + index + 1)
          _BOOT_ID=\(boot)
          _MACHINE_ID=\(id)
          _HOSTNAME=host-\(machine)
          _TRANSPORT=journal
          _PID=1
          _UID=0
          UNIT=web.service
          INVOCATION_ID=\(String(repeating: "0", count: 30))\(number + 10)
          MESSAGE_ID=\(message.0)
          MESSAGE=\(message.1) \(number)
          \(message.2)

          """
        }
      }
      let text = entries.joined()
      let made = shell(
        "/lib/systemd/systemd-journal-remote -o '\(path)/\(sender).journal' - 2>&1 <<'END'\n\(text)\nEND")
      #expect(made.status == 0, "\(made.output)")
    }

    /// The events as `host event number`.
    func events(_ arguments: String) -> [String] { read("'\(binary)' events -o json \(arguments)") }

    func read(_ command: String) -> [String] {
      shell(
        "\(command) | sed 's/.*\"event\":\"\\([^\"]*\\)\".*\"invocation\":\"0*\\([^\"]*\\)\".*\"hostname\":\"\\([^\"]*\\)\".*/\\3 \\1 \\2/'"
      ).output.split(separator: "\n").map(String.init)
    }
  }

  private static let now = 1_700_000_000_000_000
  private static let hourAgo = now - 3_600_000_000

  @Test func unitsOfOneNameAreKeptApart() {
    let directory = Directory()
    // Both at the same times, into one file.
    directory.add("a", 0..<2, at: Self.now, to: "all")
    directory.add("b", 0..<2, at: Self.now + 100, to: "all")
    let expected = [
      "host-a started 10", "host-a stopped 10", "host-b started 10", "host-b stopped 10", "host-a started 11",
      "host-a stopped 11", "host-b started 11", "host-b stopped 11",
    ]
    #expect(directory.events("-D '\(directory.path)'") == expected)
    #expect(directory.events("--file '\(directory.path)/*.journal' -r") == expected.reversed())
    #expect(directory.events("-D '\(directory.path)' -n 3") == Array(expected.suffix(3)))
    #expect(directory.events("-D '\(directory.path)' -u web -n 3") == Array(expected.suffix(3)))
  }

  @Test func aSenderSpeaksForOneMachine() {
    let directory = Directory()
    directory.add("a", 0..<1, at: Self.now, to: "remote-alpha")
    directory.add("b", 0..<1, at: Self.now + 100, to: "remote-beta")
    directory.add("b", 5..<6, at: Self.now, to: "remote-alpha")
    #expect(
      directory.events("-D '\(directory.path)'") == [
        "host-a started 10", "host-a stopped 10", "host-b started 10", "host-b stopped 10",
      ])
  }

  @Test(.enabled(if: geteuid() == 0, "needs root, to limit inotify"), arguments: ["instances", "watches"])
  func whatCannotBeWatchedIsReadEverySecond(_ missing: String) throws {
    let directory = Directory()
    directory.add("a", 0..<1, at: Self.now, to: "remote-alpha")
    let (output, errors) = ("\(directory.path)/output", "\(directory.path)/errors")
    let limited = "\(repository)/contrib/torture.d/no-inotify \(missing)"
    let command =
      "\(limited) '\(binary)' events -D '\(directory.path)' -f -n 0 -o json >'\(output)' 2>'\(errors)' & echo $!"
    let pid = shell(command).output.filter(\.isNumber)
    defer { _ = shell("kill -KILL \(pid)") }
    for _ in 0..<200 where shell("grep -q 'cannot be watched' '\(errors)'").status != 0 { usleep(50_000) }
    #expect(shell("cat '\(errors)'").output.contains("Raise fs.inotify.max_user_\(missing)"))
    directory.add("a", 1..<2, at: Self.now, to: "remote-alpha")
    directory.add("c", 0..<1, at: Self.hourAgo, to: "remote-gamma")
    let expected: Set<String> = ["host-a started 11", "host-a stopped 11", "host-c started 10", "host-c stopped 10"]
    var found: [String] = []
    for _ in 0..<200 where found.count < expected.count {
      usleep(100_000)
      found = directory.read("cat '\(output)'")
    }
    #expect(Set(found) == expected)
    #expect(shell("wc -l <'\(errors)'").output.filter(\.isNumber) == "1", "reported once")
  }

  @Test func entriesThatArriveAnHourLateAreNotLost() throws {
    let directory = Directory()
    directory.add("a", 0..<1, at: Self.now, to: "remote-alpha")
    directory.add("b", 0..<1, at: Self.hourAgo, to: "remote-beta")
    let output = "\(directory.path)/output"
    let command = "'\(binary)' events -D '\(directory.path)' -f -n 0 -o json >'\(output)' 2>/dev/null & echo $!"
    let pid = shell(command).output.filter(\.isNumber)
    defer { _ = shell("kill -KILL \(pid)") }
    // It follows when it watches the directory. How long that takes depends on the build and on the load.
    for _ in 0..<200 where shell("ls -l /proc/\(pid)/fd | grep -q inotify").status != 0 { usleep(50_000) }
    usleep(500_000)
    directory.add("a", 1..<2, at: Self.now, to: "remote-alpha")
    usleep(500_000)
    directory.add("b", 1..<2, at: Self.hourAgo, to: "remote-beta")
    // A machine that was not known before.
    directory.add("c", 0..<1, at: Self.hourAgo, to: "remote-gamma")
    let expected: Set<String> = [
      "host-a started 11", "host-a stopped 11", "host-b started 11", "host-b stopped 11", "host-c started 10",
      "host-c stopped 10",
    ]
    var found: [String] = []
    for _ in 0..<100 where found.count < expected.count {
      usleep(100_000)
      found = directory.read("cat '\(output)'")
    }
    #expect(Set(found) == expected)
    #expect(found.count == expected.count)
  }
}
