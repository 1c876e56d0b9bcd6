import Systemd
import TestSupport

@testable import Hooks
@testable import Lifecycle

/// What a file of a hook says, or what is wrong with it, as text.
func load(
  _ text: String, kind: HookKind = .definitionFile, dropIns: [String] = [], name: String = "h"
) -> HookLoadResult {
  let dropIns = dropIns.enumerated().map { HookDropIn(path: "d\($0.offset)", contents: Array($0.element.utf8)) }
  return loadHook(name: name, path: "f", kind: kind, contents: Array(text.utf8), dropIns: dropIns)
}

/// The definition in a file of a hook that is as it should be.
func definition(_ text: String, kind: HookKind = .definitionFile, dropIns: [String] = []) -> HookDefinition? {
  if case .hook(let hook, _) = load(text, kind: kind, dropIns: dropIns) { hook.definition } else { nil }
}
