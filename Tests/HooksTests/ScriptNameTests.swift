import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

@Suite struct ScriptNameTests {
  @Test(arguments: [
    ("/dev/fd/3: line 8: nosuch: command not found", "/etc/h/a.sh: line 8: nosuch: command not found"),
    ("/dev/fd/3: 8: nosuch: not found", "/etc/h/a.sh: 8: nosuch: not found"),
    ("  File \"/dev/fd/3\", line 1", "  File \"/etc/h/a.sh\", line 1"),
    ("<3>/dev/fd/3", "<3>/etc/h/a.sh"),
    ("/dev/fd/3 and /dev/fd/3", "/etc/h/a.sh and /etc/h/a.sh"),
    ("//dev/fd/3:", "//etc/h/a.sh:"),
    ("/dev/fd/30 /dev/fd/3/x /dev/fd/ /dev/fd /", "/dev/fd/30 /dev/fd/3/x /dev/fd/ /dev/fd /"),
    ("nothing of that kind", "nothing of that kind"), ("", ""),
  ])
  func aScriptHasItsPathAgain(_ line: String, _ expected: String) {
    #expect(ScriptName.restored(in: Array(line.utf8), "/etc/h/a.sh") == Array(expected.utf8))
  }
}
