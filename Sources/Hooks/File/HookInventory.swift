internal import Lifecycle
internal import Systemd

/// The names, paths and digests of loaded hooks, by which two processes or two moments can be compared.
package struct HookInventory: Sendable, Equatable {
  /// A loaded hook.
  package struct Item: Sendable, Equatable {
    /// The path of the hook's file.
    package var path: String
    /// A digest of the definition, its drop-ins and the programs that it runs.
    package var digest: String

    package init(path: String, digest: String) {
      self.path = path
      self.digest = digest
    }
  }

  /// A difference between two inventories.
  package enum Change: Sendable, Equatable {
    case loaded(name: String, path: String)
    case changed(name: String, path: String)
    case removed(name: String, path: String)

    package var name: String {
      switch self {
      case .loaded(let name, _), .changed(let name, _), .removed(let name, _): name
      }
    }

    package var path: String {
      switch self {
      case .loaded(_, let path), .changed(_, let path), .removed(_, let path): path
      }
    }
  }

  /// The hooks by name.
  package var items: [String: Item]

  package init(_ items: [String: Item] = [:]) { self.items = items }

  /// A digest of several texts: the first 32 hexadecimal digits of a SHA-256 hash of the texts and their lengths.
  package static func digest(of texts: some Sequence<String>) -> String {
    var hash = SHA256()
    for text in texts {
      hash.update("\(text.utf8.count):")
      hash.update(text)
    }
    return hash.hexadecimalDigest(digits: 32)
  }

  /// The changes since an earlier inventory, in the order of the hooks' names.
  package func changes(since before: HookInventory) -> [Change] {
    Set(items.keys).union(before.items.keys).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.compactMap { name in
      switch (before.items[name], items[name]) {
      case (nil, let now?): .loaded(name: name, path: now.path)
      case (let old?, nil): .removed(name: name, path: old.path)
      case (let old?, let now?) where old != now: .changed(name: name, path: now.path)
      default: nil
      }
    }
  }
}
