import Systemd
import Testing

@testable import Systemd

@Suite struct CommandLineTests {
  @Test(arguments: [
    ("a b  c", ["a", "b", "c"]),
    (#"a "b c" 'd e'"#, ["a", "b c", "d e"]),
    (#"a b"c d"e"#, ["a", "bc de"]),
    (#"a "" ''"#, ["a", "", ""]),
    (#"a "it's" 'say "x"'"#, ["a", "it's", #"say "x""#]),
    (#"a \"b \\ \'"#, ["a", "\"b", "\\", "'"]),
    (#"a "\"" '\''"#, ["a", "\"", "'"]),
    (#"a\sb x\ty x\nz"#, ["a b", "x\ty", "x\nz"]),
    (#"a \x41\x42 \101 \u00e4 \U0001f600"#, ["a", "AB", "A", "ä", "😀"]),
    (#"a \xc3\xa4"#, ["a", "ä"]),
    (#"a \a\b\f\r\v"#, ["a", "\u{7}\u{8}\u{c}\r\u{b}"]),
    (#"a \; ";""#, ["a", ";", ";"]),
    ("a ;b", ["a", ";b"]),
    ("  a\t b ", ["a", "b"]),
    ("a $B ${C} 100%", ["a", "$B", "${C}", "100%"]),
  ])
  func splits(_ text: String, _ expected: [String]) throws {
    #expect(try CommandLine.split(text) == expected)
  }

  @Test(arguments: [
    (#"a "b"#, "the quote \" is not closed"),
    ("a 'b", "the quote ' is not closed"),
    (#"a \q"#, "the escape \\q is not known; a backslash itself is written \\\\"),
    (#"a \"#, "the last character is a backslash"),
    (#"a \x4"#, "the escape \\x needs 2 hexadecimal digits"),
    (#"a \xg0"#, "the escape \\x needs 2 hexadecimal digits"),
    (#"a \18"#, "the escape \\ needs 3 octal digits"),
    (#"a \777"#, "the escape \\777 is too large"),
    (#"a \x00"#, "an escape stands for a NUL byte"),
    (#"a \ud800"#, "the escape \\ud800 is not a character"),
    (#"a \xff"#, "a word is not valid UTF-8 once its escapes are resolved"),
    ("-a", "the prefix '-' of '-a' is not supported: write the program alone"),
    ("@a b", "the prefix '@' of '@a' is not supported: write the program alone"),
    ("!!a", "the prefix '!' of '!!a' is not supported: write the program alone"),
    ("", "there is no program"),
    (#""" a"#, "there is no program"),
    ("a ; b", "there is more than one command: ';' must be written '\\;' or quoted"),
  ])
  func refuses(_ text: String, _ message: String) {
    #expect { try CommandLine.split(text) } throws: { "\($0)" == message }
  }

  @Test func keepsEscapesOfUnitNames() throws {
    #expect(try Words.split(#"a\x2db "c d" e\"f"#, escapes: .kept) == [#"a\x2db"#, "c d", #"e\"f"#])
    #expect(throws: WordSyntaxError.self) { try Words.split(#"a\"#, escapes: .kept) }
  }

  @Test func splitsUnitNames() {
    for (name, suffix, without, prefix, instance) in [
      ("a.service", "service", "a", "a", nil),
      ("getty@tty1.service", "service", "getty@tty1", "getty", "tty1"),
      ("getty@.service", "service", "getty@", "getty", ""),
      ("a@b@c.d.timer", "timer", "a@b@c.d", "a", "b@c.d"),
      ("a.b", nil, "a.b", "a.b", nil),
    ] as [(String, String?, String, String, String?)] {
      let unit = UnitName(name)
      #expect(unit.suffix == suffix)
      #expect(unit.withoutSuffix == without)
      #expect(unit.prefix == prefix)
      #expect(unit.instance == instance)
    }
    #expect(UnitName("a.service").isValid)
    for bad in ["a", ".service", "@x.service", "a b.service", "a/b.service", "", "a*.service"] {
      #expect(!UnitName(bad).isValid)
    }
  }

  @Test(arguments: ["home-me", #"a\x2db"#, #"dev-disk-by\x2dlabel-x"#, "tty1", #"a\x2"#])
  func unescapesAsSystemdDoes(_ text: String) {
    let real = run(["systemd-escape", "--unescape", "--", text])
    guard real.succeeded else { return }
    #expect(UnitName.unescape(text) + "\n" == real.output)
  }

  @Test func knowsSignals() {
    #expect(Signal.number(named: "SIGTERM") == 15)
    #expect(Signal.number(named: "KILL") == 9)
    #expect(Signal.number(named: "RTMIN+3") == 37)
    #expect(Signal.number(named: "SIGRTMAX-1") == 63)
    #expect(Signal.number(named: "RTMIN+31") == nil)
    #expect(Signal.number(named: "NOPE") == nil)
    #expect(Signal.name(of: 15) == "TERM")
    #expect(ExitStatus.number(named: "TEMPFAIL") == 75)
  }
}
