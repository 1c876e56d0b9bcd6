package import EventReading

/// What `journalhook follow` is asked to do.
package struct FollowOptions: Sendable, RunOptions {
  package var selection: JournalSelection
  package var stateDirectory: String
  package var hookDirectories: [String]
  /// Where to start instead of the saved cursor, in microseconds since 1970.
  package var since: UInt64?
  /// Runs that the ledger has as done are done again.
  package var again = false
  /// How many runs may be under way at once; nil: what the configuration says.
  package var jobs: Int?
  /// Where `journalhook.conf` may be.
  package var configurationPaths: [String] = []

  package init(selection: JournalSelection, stateDirectory: String, hookDirectories: [String]) {
    self.selection = selection
    self.stateDirectory = stateDirectory
    self.hookDirectories = hookDirectories
  }
}
