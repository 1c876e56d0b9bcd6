import Systemd
import Testing

@testable import Systemd

@Suite struct UnitFileTests {
  private func read(_ text: String) -> [String] {
    let file = UnitFile(parsing: text)
    return file.assignments.map { "\($0.line) [\($0.section)] \($0.key)=\($0.value)" }
      + file.problems.map { "\($0.line) ! \($0.message)" }
  }

  @Test(arguments: [
    ("[A]\nX=1\nY=2", ["2 [A] X=1", "3 [A] Y=2"]),
    ("[A]\r\nX=1\r\n", ["2 [A] X=1"]),
    ("\u{feff}[A]\nX=1", ["2 [A] X=1"]),
    ("# c\n; c\n\n [A] \n  X =  a b  \n", ["5 [A] X=a b"]),
    ("[A]\nX=\nY", ["2 [A] X=", "3 ! 'Y' has no '='"]),
    ("[A]\nX=a=b # no comment", ["2 [A] X=a=b # no comment"]),
    ("[A]\nX=a \\\n  b\\\nc\nY=2", ["2 [A] X=a  b c", "5 [A] Y=2"]),
    ("[A]\nX=a \\\n# comment\n  ; comment \\\nb\nY=2", ["2 [A] X=a  b", "6 [A] Y=2"]),
    ("[A]\nX=a\\\n\nY=2", ["2 [A] X=a", "4 [A] Y=2"]),
    ("[A]\nX=a\\\\\nY=2", ["2 [A] X=a\\\\", "3 [A] Y=2"]),
    ("[A]\nX=a\\\\\\\nb", ["2 [A] X=a\\\\ b"]),
    ("[A]\nX=a \\", ["2 [A] X=a"]),
    ("[A]\nX=a\\ \nY=1", ["2 [A] X=a\\", "3 [A] Y=1"]),
    ("[A]\nX=\"#\"", ["2 [A] X=\"#\""]),
    ("X=1\n[A]", ["1 ! X= stands before the first [Section]"]),
    ("[A]\n=1", ["2 ! there is no key before the '='"]),
    (
      "[A\nX=1",
      ["1 ! '[A' is not a section header: it must have the form [Name]", "2 ! X= stands before the first [Section]"]
    ),
    ("[]\n", ["1 ! '[]' is not a section header: it must have the form [Name]"]),
    ("[A]\nX=1\n[B]\nX=2\n[A]\nX=3", ["2 [A] X=1", "4 [B] X=2", "6 [A] X=3"]),
    ("[A]\nX=a\0b\nY=1", ["3 [A] Y=1", "2 ! the line contains a NUL byte"]),
    ("", []),
    ("\n\n", []),
    ("[A]\nX=ä ü", ["2 [A] X=ä ü"]),
  ])
  func reads(_ text: String, _ expected: [String]) {
    #expect(read(text) == expected)
  }

  @Test func refusesInvalidUTF8() {
    let file = UnitFile(parsing: Array("[A]\nX=".utf8) + [0xff, 0x0a] + Array("Y=1".utf8))
    #expect(file.problems.map { "\($0.line) \($0.message)" } == ["2 the line is not valid UTF-8"])
    #expect(file.assignments.map(\.key) == ["Y"])
  }

  @Test func refusesLongLines() {
    let long = String(repeating: "x", count: 600_000)
    #expect(read("[A]\nX=\(long)").count == 1)
    #expect(read("[A]\nX=\(long)\\\n\(long)\nY=1") == ["4 [A] Y=1", "2 ! the line is longer than 1 MiB"])
    #expect(read("[A]\n\(long)")[0].utf8.count < 100)
  }
}
