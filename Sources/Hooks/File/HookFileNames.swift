/// The meaning of file names in a hook directory.
package enum HookFileNames {
  /// The suffix of a file that contains only a definition.
  package static let definitionSuffix = ".hook"

  /// Whether a file is ignored: a hidden file, a copy that an editor or a package manager has left, a text, a drop-in.
  package static func isIgnored(_ name: String) -> Bool {
    if name.isEmpty || name.hasPrefix(".") || name == definitionSuffix { return true }
    let suffixes = ["~", ".swp", ".bak", ".rpmnew", ".rpmsave", ".rpmorig", ".md", ".conf", ".disabled"]
    if suffixes.contains(where: name.hasSuffix) { return true }
    guard let dot = name.lastIndex(of: ".") else { return false }
    return name[dot...].hasPrefix(".dpkg-")
  }

  /// Whether a file of this name in a directory `NAME.d` is a drop-in.
  package static func isDropIn(_ name: String) -> Bool { !name.hasPrefix(".") && name.hasSuffix(".conf") }

  /// The name of the hook that a file of this name defines.
  package static func hookName(ofFile name: String) -> String {
    name.hasSuffix(definitionSuffix) ? String(name.dropLast(definitionSuffix.count)) : name
  }

  /// The name of the drop-in directory of a hook.
  package static func dropInDirectory(ofHook name: String) -> String { name + ".d" }
}
