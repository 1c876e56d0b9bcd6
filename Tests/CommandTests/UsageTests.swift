import Glibc
import Testing

/// The commands and their options.
@Suite struct UsageTests {
  @Test func helpNamesEveryCommand() {
    let help = journalhook("--help")
    #expect(help.status == 0)
    for command in ["follow", "replay", "events", "list", "check"] {
      #expect(help.output.contains("  \(command) "), "\(command)")
      #expect(journalhook("\(command) --help").status == 0)
    }
    #expect(journalhook("--version").output.hasPrefix("journalhook "))
  }

  @Test(arguments: [
    ("follow --since never", "--since: 'never' is not a time"),
    ("replay", "Missing expected argument '--since"),
    ("replay --since -10min --until 25:61", "--until: '25:61' is not a time"),
    ("events --event stoped", "there is no event 'stoped'"),
    ("events -n=-3", "'-3'"),
    ("events --file a -D b", "cannot be used together"),
    ("events --namespace a -D b", "cannot be used with --directory"),
    ("events -b yesterday", "'yesterday' is neither a boot id nor an offset"),
    ("events -f -b -1", "--boot=-1 cannot be used with it"),
    ("events -f -r", "cannot be used together"),
    ("events -o xml", "'xml'"),
    ("events -f --until now", "cannot be used together"),
    ("follow --jobs 0", "The smallest is 1"),
    ("follow --again", "--again needs --since"),
    ("follow -D /tmp", "--hooks is required"),
    ("frobnicate", "There is no command 'frobnicate'. Commands: follow, replay, events, list, check, help."),
    ("follow --frobnicate", "frobnicate"),
  ])
  func wrongUsageIsReportedAndExits64(_ arguments: String, _ message: String) {
    let result = journalhook(arguments)
    #expect(result.status == 64, "\(result.output)")
    #expect(result.output.contains(message), "\(result.output)")
  }

  @Test(arguments: [
    ("follow --hooks /nonexistent", "The hooks directory /nonexistent cannot be used: No such file or directory"),
    ("follow --hooks /etc/passwd", "is not a directory"),
    ("events --file /nonexistent.journal", "No such file or directory"),
    ("events -D /nonexistent", "No such file or directory"),
    ("check /nonexistent", "No such file or directory"),
  ])
  func aMissingFileIsReportedAndExits1(_ arguments: String, _ message: String) {
    let result = journalhook(arguments)
    #expect(result.status == 1, "\(result.output)")
    #expect(result.output.contains(message), "\(result.output)")
  }

  /// Foundation would add 58 MB to the binary, and nothing in it is needed.
  @Test func foundationIsNotLinked() {
    #expect(
      shell("grep -rlE '^(@.* )?(public |internal |package )?import Foundation' '\(repository)/Sources'").output == "")
    #expect(!shell("readelf -d '\(binary)' | grep NEEDED").output.contains("libFoundation.so"))
    // The whole of Foundation comes with its internationalization. swift-argument-parser uses only the small core.
    #expect(shell("grep -c _FoundationICU '\(binary)'").output.hasPrefix("0"))
  }

  /// The arguments are read without /proc, as in a sandbox that hides it.
  @Test(.enabled(if: geteuid() == 0)) func argumentsAreReadWithoutProc() {
    let result = shell(
      "unshare -m sh -c 'umount -l /proc || exit 99; \(binary) replay --since never'")
    #expect(result.status == 64, "\(result.output)")
    #expect(result.output.contains("'never' is not a time"), "\(result.output)")
  }
}
