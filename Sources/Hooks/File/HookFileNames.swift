/// What the names of files in a hook directory mean.
package enum HookFileNames {
  /// The suffix of a file that is nothing but a definition.
  package static let definitionSuffix = ".hook"

  /// Whether a file is passed over: hidden, a copy that an editor or a package manager left, a text, a drop-in.
  package static func isIgnored(_ name: String) -> Bool {
    if name.isEmpty || name.hasPrefix(".") || name == definitionSuffix { return true }
    let suffixes = ["~", ".swp", ".bak", ".rpmnew", ".rpmsave", ".rpmorig", ".md", ".conf", ".disabled"]
    if suffixes.contains(where: name.hasSuffix) { return true }
    guard let dot = name.lastIndex(of: ".") else { return false }
    return name[dot...].hasPrefix(".dpkg-")
  }

  /// Whether a file in a directory `NAME.d` is a drop-in.
  package static func isDropIn(_ name: String) -> Bool { !name.hasPrefix(".") && name.hasSuffix(".conf") }

  /// The name of the hook in a file.
  package static func hookName(ofFile name: String) -> String {
    name.hasSuffix(definitionSuffix) ? String(name.dropLast(definitionSuffix.count)) : name
  }

  /// The name of the directory of a hook's drop-ins.
  package static func dropInDirectory(ofHook name: String) -> String { name + ".d" }
}
