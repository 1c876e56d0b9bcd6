import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

/// Advice about names, `#!` lines and the effects of hooks.
@Suite struct HookAdviceTests {
  @Test(arguments: [
    ("10-x", "ignored: there is no hook '10-x'; did you mean 10-x.sh.d?"),
    ("99-none", "ignored: there is no hook '99-none'"),
    ("20-stpo", "ignored: there is no hook '20-stpo'; did you mean 20-stop.d?"),
    ("tool", "ignored: tool is a program, not a hook"),
  ])
  func warnsOfDropInsWithoutAHook(_ name: String, _ expected: String) {
    let found = HookDirectoryAdvice.dropIns(
      "/h/\(name).d", of: name, hooks: ["10-x.sh", "10-xy", "20-stop"], programs: ["tool", "10-x.sh"])
    #expect(found.description == "/h/\(name).d:1: warning: " + expected)
  }

  @Test(arguments: [
    ("alarm", nil),
    ("alrm", "there is no hook 'alrm'; did you mean alarm?"),
    ("masked", "hook 'masked' is masked"),
    ("tool", "'tool' is a program without a definition, not a hook"),
  ])
  func warnsOfUnusableOnHookFailure(_ name: String, _ expected: String?) {
    let problem = HookDirectoryAdvice.onHookFailure(
      name, isProgram: name == "tool", state: name == "masked" ? "masked" : nil, hooks: ["alarm", "other"])
    #expect(problem == expected.map { "no hook runs when this hook fails, as " + $0 })
  }

  @Test(arguments: [
    ("#!/bin/sh\n", Shebang.Reader.path("/bin/sh")),
    ("#! /bin/bash -e\nx", .path("/bin/bash")),
    ("#!/usr/bin/env bash\n", .name("bash")),
    ("#!/usr/bin/env bash -e\n", .name("bash -e")),
    ("#!/usr/bin/env -S bash -e\n", .name("bash")),
    ("#!/usr/bin/env -S\tzsh\n", .name("zsh")),
    ("#!/usr/bin/env /opt/x\n", .path("/opt/x")),
    ("#!/usr/bin/env -i bash\n", .unknown),
    ("#!/usr/bin/env A=1 bash\n", .unknown),
    ("#!/usr/bin/env\n", .unknown),
    ("#!/bin/sh", .path("/bin/sh")),
    ("#!\n", nil), ("# x\n", nil), ("", nil),
  ])
  func readsTheFirstLine(_ text: String, _ expected: Shebang.Reader?) {
    #expect(Shebang(text.utf8)?.reader == expected)
  }

  @Test(arguments: [
    ("/s: 3: Syntax error: \"done\" unexpected\n", 3, "Syntax error: \"done\" unexpected"),
    (
      "/s: line 12: syntax error: unexpected end of file\n/s: line 12: `x'\n", 12,
      "syntax error: unexpected end of file"
    ),
    ("/s:5: parse error near `fi'\n", 5, "parse error near `fi'"),
    ("out of memory\n", 1, "out of memory"),
  ])
  func readsSyntaxErrorsOfShells(_ output: String, _ line: Int, _ message: String) throws {
    let found = try #require(Shebang.syntaxError(in: output, of: "/s"))
    #expect(found == (line, message))
  }

  @Test(arguments: [
    ("a\nexit\nfoo (\n", 3, "a\nexit"), ("a\nexit 0;\n(\n", 3, "a\nexit 0;"), ("a\nexit $x\n(\n", 3, "a\nexit $x"),
    ("a\nexit\nfoo\n", 2, nil), ("a\n  exit\nfoo (\n", 3, nil), ("exits\n(\n", 2, nil), ("exit 1 || x\n(\n", 2, nil),
    ("", 1, nil),
  ])
  func knowsWhereAScriptEnds(_ script: String, _ line: Int, _ expected: String?) {
    let contents = Array(script.utf8)
    let end = Shebang.end(of: contents, before: line)
    #expect(end.map { String(decoding: contents[..<$0], as: UTF8.self) } == expected)
  }

  @Test func checksTheSyntaxOfShellScriptsOnly() {
    #expect(Shebang.syntaxError(in: "", of: "/s") == nil)
    #expect(Shebang.syntaxCheck(by: "/bin/dash", of: "/s") == ["/bin/dash", "-n", "/s"])
    #expect(Shebang.syntaxCheck(by: "bash", of: "/s") == ["bash", "-n", "-O", "extglob", "/s"])
    for other in ["/usr/bin/python3", "/bin/fish", "/bin/busybox", "/opt/bash-5"] {
      #expect(Shebang.syntaxCheck(by: other, of: "/s") == nil)
    }
  }

  @Test(arguments: [
    ("ap.service", "app.service"), ("MaxScale.service", "maxscale.service"), ("maxscale.timer", "maxscale.service"),
    ("sshd.service", "ssh.service"), ("logrotate.service", "logrotate.timer"),
    ("postgresql.service", "postgresql@15-main.service"), ("zz.service", nil), ("nonexistent.service", nil),
    ("AP.timer", nil), ("app.Service", "app.service"),
  ])
  func findsTheNearestUnit(_ name: String, _ expected: String?) {
    let units = [
      "app.service", "cups.service", "maxscale.service", "maxscale.socket", "ssh.service", "logrotate.timer",
      "postgresql@15-main.service", "sysinit.target",
    ]
    #expect(nearestUnit(to: name, among: units) == expected)
  }

  @Test(arguments: [
    ("*.service", "failed", "systemctl start alert@%n", "alert@*.service failed"),
    ("*.service !alert@*.service", "failed", "systemctl start alert@%n", nil),
    ("app-*.service", "failed", "systemctl start alert@%n", nil),
    ("*", "started", "systemctl start --no-block note@%N.service", "note@*.service started"),
    ("*.service", "failed gave-up", "systemctl start cleanup", "cleanup.service failed"),
    ("*.service", "started", "systemctl start cleanup", nil),
    ("*.service", "failed", "systemctl stop cleanup", nil),
    ("maxscale.service", "failed", "systemctl start alert@%n", nil),
    ("*.service", "failed", "notify --to wall", nil),
  ])
  func seesThatAHookRunsItself(_ units: String, _ events: String, _ command: String, _ expected: String?) throws {
    let hook = try #require(definition("[Match]\nUnit=\(units)\nEvent=\(events)\n[Hook]\nExec=\(command)\n"))
    let found = HookCascade.find(in: hook.match, HookEffects(exec: hook.exec, script: nil))
    #expect(found.map { "\($0.units) \($0.event)" } == expected)
  }
}
