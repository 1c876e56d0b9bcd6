package import Hooks

/// The hooks that `follow` has loaded. `list` compares them with the hooks on disk.
extension Ledger {
  private static let prefix = "hook/"

  /// Replaces the record of loaded hooks.
  package func note(_ inventory: HookInventory) throws(SQLiteError) {
    try database.transaction { () throws(SQLiteError) in
      try database.query("DELETE FROM meta WHERE key >= 'hook/' AND key < 'hook0'")
      for (name, item) in inventory.items {
        try database.query(
          "INSERT INTO meta VALUES(?, ?)", .text(Ledger.prefix + name), .text("\(item.digest) \(item.path)"))
      }
    }
  }

  /// The hooks that `follow` has loaded, or had loaded when it ended.
  package func loadedHooks() throws(SQLiteError) -> HookInventory {
    let rows = try database.query("SELECT key, value FROM meta WHERE key >= 'hook/' AND key < 'hook0'")
    var items: [String: HookInventory.Item] = [:]
    for row in rows {
      guard let key = row[0].text, let parts = row[1].text?.split(separator: " ", maxSplits: 1), parts.count == 2 else {
        continue
      }
      items[String(key.dropFirst(Ledger.prefix.count))] = .init(path: String(parts[1]), digest: String(parts[0]))
    }
    return HookInventory(items)
  }
}
