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
    ("é*", "ecole", false), ("é*", "été", true), ("", "", true), ("", "a", false),
  ])
  func matches(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(Glob(pattern).matches(text) == expected)
  }

  @Test func takesNoExponentialTime() {
    let pattern = String(repeating: "a*", count: 50) + "b"
    let elapsed = ContinuousClock().measure { _ = Glob(pattern).matches(String(repeating: "a", count: 5000)) }
    #expect(elapsed < .seconds(2))
  }

  @Test func ignoresCaseWhereAsked() {
    #expect(Glob("WEB*", ignoringCase: true).matches("web1"))
  }
}
