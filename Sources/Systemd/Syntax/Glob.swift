internal import Glibc

/// A pattern of glob(7): `*`, `?`, `[a-z]`, `[!a-z]`, `[[:digit:]]`.
///
/// Matching is by fnmatch(3) with FNM_NOESCAPE, as systemd matches patterns of units (`list_units_filtered` in its
/// dbus-manager.c): a backslash stands for itself, because unit names contain backslashes.
package struct Glob: Sendable, Hashable {
  /// The pattern as it was written.
  package let pattern: String
  private let ignoresCase: Bool

  package init(_ pattern: String, ignoringCase: Bool = false) {
    self.pattern = pattern
    ignoresCase = ignoringCase
  }

  /// Whether a text is a pattern rather than a name.
  package static func isPattern(_ text: String) -> Bool { text.utf8.contains { "*?[".utf8.contains($0) } }

  /// Whether the whole text matches the pattern. A text that contains NUL matches no pattern.
  package func matches(_ text: String) -> Bool {
    // fnmatch(3) would match only the part before the NUL.
    guard !text.utf8.contains(0) else { return false }
    return unsafe fnmatch(pattern, text, FNM_NOESCAPE | (ignoresCase ? Glob.caseFold : 0)) == 0
  }

  /// FNM_CASEFOLD, which Swift's Glibc module lacks.
  private static let caseFold: CInt = 1 << 4
}
