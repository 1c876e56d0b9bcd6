internal import Hooks
internal import Lifecycle
internal import Systemd

/// Events that a definition may or may not be for.
private let events: [LifecycleEvent] = [
  LifecycleEvent(
    id: "1", kind: .stopped, unit: "work@a\\x20b.service", result: "success", restartJob: true, autoRestart: false,
    exitCode: "exited", exitStatus: "0", realtime: 1, monotonic: 1, boot: "b", machine: "m", hostname: "host"),
  LifecycleEvent(
    id: "2", kind: .failed, unit: "maxscale.service", result: "signal", exitCode: "killed", exitStatus: "KILL",
    realtime: 1, monotonic: 1, boot: "b", machine: "m", hostname: nil),
]

/// Reads a hook from two drop-ins and a file, which zero bytes separate.
func fuzzHook(_ input: FuzzInput) {
  var input = input
  let kind: HookKind = [.definitionFile, .executable, .plainFile][input.number(below: 3)]
  let dropIns = (0..<input.number(below: 3)).map { HookDropIn(path: "/d\($0).conf", contents: input.part(before: 0)) }
  let result = loadHook(name: "h", path: "/h", kind: kind, contents: input.bytes, dropIns: dropIns)
  for diagnostic in result.diagnostics {
    expect(diagnostic.line >= 1 && !diagnostic.message.isEmpty, "a diagnostic that says nothing: \(diagnostic)")
  }
  switch result {
  case .broken(let diagnostics):
    expect(diagnostics.contains { $0.severity == .error }, "a hook that is broken without an error")
  case .hook(let hook, let diagnostics):
    expect(!diagnostics.contains { $0.severity == .error }, "a hook with an error")
    for event in events {
      _ = hook.definition.match.matches(event)
      if let exec = hook.definition.exec {
        let words = exec.expand(for: event)
        expect(words.first == exec.program, "Exec= runs \(words), not \(exec.program)")
      }
      for variable in hook.definition.environment { _ = variable.value.expand(for: event) }
    }
  case .program, .masked, .misplaced: break
  }
}
