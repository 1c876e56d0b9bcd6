import Testing

@testable import Systemd

@Suite struct GlobTests {
  @Test(arguments: [
    ("a.service", "a.service", true), ("a.service", "A.service", false), ("a", "ab", false), ("ab", "a", false),
    ("*", "", true), ("*", "anything", true), ("**", "x", true), ("a*", "a", true), ("a*c", "abbc", true),
    ("a*c", "abcd", false), ("*.service", "x.service", true), ("*.service", "x.socket", false), ("?", "", false),
    ("a?c", "abc", true), ("a?c", "ac", false), ("[abc]", "b", true), ("[abc]", "d", false), ("[a-c]x", "bx", true),
    ("[!a-c]", "d", true), ("[!a-c]", "b", false), ("[^a-c]", "d", true), ("[]a]", "]", true), ("[!]a]", "]", false),
    ("[a-]", "-", true), ("[a", "[a", true), ("[a", "a", false), ("a*b*c", "aXbYbZc", true), ("a*b*c", "aXcYb", false),
    ("php*-fpm.service", "php8.2-fpm.service", true), (#"dev-*\x2d*.device"#, #"dev-a\x2db.device"#, true),
    (#"a\*"#, #"a\b"#, true), (#"a\*"#, "a*", false), ("[c-a]", "b", false), ("*[0-9].service", "tty12.service", true),
    ("tty[[:digit:]].service", "tty1.service", true), ("tty[[:digit:]].service", "ttyS.service", false),
    ("tty[[:digit:]]*.service", "tty12.service", true), ("[[:alpha:]_]x", "_x", true), ("[![:digit:]]", "a", true),
    ("[![:digit:]]", "1", false), ("[!a-z]*", "A.service", true), ("[!a-z]*", "a.service", false),
    (#"dev-disk-by\x2dlabel-x.device"#, #"dev-disk-by\x2dlabel-x.device"#, true), (#"dev\x2d*"#, "devx2da", false),
    (#"\x2d"#, "-", false), ("a.service", "a.service\0", false), ("*", "a/b", true), ("*", ".a", true),
    ("é*", "ecole", false), ("é*", "été", true), ("", "", true), ("", "a", false),
  ])
  func matches(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(Glob(pattern).matches(text) == expected)
  }

  @Test func doesNotTakeExponentialTime() {
    let pattern = String(repeating: "a*", count: 50) + "b"
    let elapsed = ContinuousClock().measure { _ = Glob(pattern).matches(String(repeating: "a", count: 5000)) }
    #expect(elapsed < .seconds(2))
  }

  @Test func ignoresCaseIfWanted() {
    #expect(Glob("WEB*", ignoringCase: true).matches("web1"))
    #expect(Glob("web[[:digit:]]", ignoringCase: true).matches("WEB1"))
    #expect(!Glob("WEB*").matches("web1"))
  }
}
