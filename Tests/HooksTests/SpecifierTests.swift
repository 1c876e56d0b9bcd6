import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

@Suite struct SpecifierTests {
  @Test(arguments: [
    ("x %n %N %p [%i] %e %r %%", ["x", "a@b-c.service", "a@b-c", "a", "[b-c]", "stopped", "timeout", "%"]),
    ("x %I %H", ["x", "b/c", "web1"]),
    ("x '%n %e' %%n", ["x", "a@b-c.service stopped", "%n"]),
    (#"x \x25n"#, ["x", "a@b-c.service"]),
  ])
  func expands(_ text: String, _ expected: [String]) throws {
    let command = try ExecCommand(parsing: text)
    #expect(command.expand(for: event(.stopped, "a@b-c.service", result: "timeout", hostname: "web1")) == expected)
  }

  @Test func theProgramIsTheSameForEveryEvent() {
    #expect(throws: HookValueError.self) { _ = try ExecCommand(parsing: "%p.sh") }
  }

  @Test func leavesOutMissingProperties() throws {
    let command = try ExecCommand(parsing: "x %i %I %r %H")
    #expect(command.expand(for: event(), localHostname: "here") == ["x", "", "", "", "here"])
  }

  @Test func doesNotSplitExpandedWords() throws {
    let command = try ExecCommand(parsing: "x %r")
    #expect(command.expand(for: event(result: "a b; $(c) %n")) == ["x", "a b; $(c) %n"])
  }
}
