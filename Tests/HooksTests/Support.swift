import Systemd
import TestSupport

@testable import Hooks
@testable import Lifecycle

/// The result of reading a hook's file.
func load(
  _ text: String, kind: HookKind = .definitionFile, dropIns: [String] = [], name: String = "h"
) -> HookLoadResult {
  let dropIns = dropIns.enumerated().map { HookDropIn(path: "d\($0.offset)", contents: Array($0.element.utf8)) }
  return loadHook(name: name, path: "f", kind: kind, contents: Array(text.utf8), dropIns: dropIns)
}

/// The hook in a file without errors; nil if the file has errors.
func definition(_ text: String, kind: HookKind = .definitionFile, dropIns: [String] = []) -> HookDefinition? {
  if case .hook(let hook, _) = load(text, kind: kind, dropIns: dropIns) { hook.definition } else { nil }
}
