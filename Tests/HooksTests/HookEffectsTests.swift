import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle

@Suite struct HookEffectsTests {
  private func effects(_ effects: HookEffects) -> [String] {
    effects.effects.map { "\($0.verb) \($0.units?.pattern ?? "itself")" }.sorted()
  }

  @Test(arguments: [
    ("stop-dependent --timeout 5 httpd.service other", ["stop httpd.service", "stop other.service"]),
    ("/usr/lib/journalhook/hooks.d/start-dependent --only-stopped httpd", ["start httpd.service"]),
    ("systemctl --no-block restart b.service", ["restart b.service"]),
    ("systemctl -H root@there try-restart %n", ["restart itself"]),
    ("systemctl start foo@%i.service", ["start foo@*.service"]),
    (#"sh -c "systemctl stop a; /bin/systemctl start 'b@1'""#, ["start b@1.service", "stop a.service"]),
    ("service apache2 reload", ["reload apache2.service"]),
    ("systemctl status a.service", []), ("notify --to wall", []), ("echo systemctl", []),
  ])
  func commands(_ command: String, _ expected: [String]) throws {
    #expect(effects(HookEffects(exec: try ExecCommand(parsing: command), script: nil)) == expected)
  }

  @Test(arguments: [
    (
      "#!/bin/sh\n# systemctl stop commented.service\nsystemctl stop b.service && systemctl start c\n",
      ["start c.service", "stop b.service"]
    ),
    ("#!/bin/sh\nUNITS=\"x.service y\"\nsystemctl restart $UNITS\n", ["restart x.service", "restart y.service"]),
    ("#!/bin/sh\nsystemctl restart \"$JOURNALHOOK_UNIT\" >/dev/null 2>&1\n", ["restart itself"]),
    ("#!/bin/sh\nif ! systemctl is-active -q a; then exec systemctl start a; fi\n", ["start a.service"]),
    ("#!/usr/bin/python3\nsubprocess.run([\"systemctl\", \"stop\", \"b.service\"])\n", ["stop b.service"]),
    ("#!/bin/sh\necho \"$JOURNALHOOK_UNIT failed\" | mail root\n", []),
  ])
  func scripts(_ script: String, _ expected: [String]) {
    #expect(effects(HookEffects(exec: nil, script: script)) == expected)
  }

  @Test(arguments: [
    ("systemd-run --no-block -q /bin/false", true), ("/usr/bin/systemd-run false", true),
    ("busctl call $NAME $PATH $NAME.Manager StartTransientUnit x", true),
    ("# systemd-run false", false), ("systemctl start b", false), ("echo \"$JOURNALHOOK_UNIT\"", false),
  ])
  func transientUnits(_ script: String, _ makesUnits: Bool) {
    #expect(HookEffects(exec: nil, script: "#!/bin/sh\n\(script)\n").makesUnits == makesUnits)
  }

  private func node(_ name: String, _ unit: String, _ event: String, _ exec: String, _ more: String = "") throws
    -> HookLoops.Node
  {
    let text = "[Match]\nUnit=\(unit)\nEvent=\(event)\n\(more)\n[Hook]\nExec=\(exec)\n"
    guard
      case .hook(let hook, _) = loadHook(
        name: name, path: name, kind: .definitionFile, contents: Array(text.utf8))
    else { throw HookValueError("\(text) is not a hook") }
    return HookLoops.Node(hook: hook, effects: HookEffects(exec: hook.definition.exec, script: nil))
  }

  @Test func loops() throws {
    let cases: [([HookLoops.Node], [[String]])] = [
      // The main use of hooks is not a loop: httpd is stopped and started with MaxScale.
      (
        [
          try node("down", "maxscale", "stopped", "stop-dependent httpd"),
          try node("up", "maxscale", "started", "start-dependent httpd"),
        ], []
      ),
      // Each unit is stopped with the other, and nothing starts them again.
      (
        [
          try node("a", "a", "stopped", "systemctl stop b"), try node("b", "b", "stopped", "systemctl stop a"),
        ], []
      ),
      ([try node("self", "a", "stopped", "systemctl restart %n")], [["self"]]),
      ([try node("self", "a", "stopped", "systemctl restart a", "RestartJob=no")], []),
      (
        [
          try node("a", "a", "started", "systemctl restart b"), try node("b", "b", "started", "systemctl restart a"),
        ], [["a", "b"]]
      ),
      (
        [
          try node("1", "a", "stopped", "systemctl start b"), try node("2", "b", "started", "systemctl start a"),
          try node("3", "a", "started", "systemctl stop b"), try node("4", "b", "stopped", "systemctl stop a"),
        ], [["1", "2", "3", "4"]]
      ),
      ([try node("again", "job", "finished", "systemctl start job")], [["again"]]),
    ]
    for (nodes, expected) in cases {
      #expect(HookLoops(nodes).find() == expected, "\(nodes.map(\.hook.name))")
    }
  }
}
