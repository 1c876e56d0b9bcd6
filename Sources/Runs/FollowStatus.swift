/// What `systemctl status` says of a follower: the state that it is in.
package struct FollowStatus: Sendable, Equatable {
  /// The hooks that answer events.
  package var hooks = 0
  /// The files in the hook directories that cannot be used.
  package var unusable = 0
  /// The hooks that drive each other in a cycle.
  package var suspended = 0
  /// Why the hooks cannot be read as they are now.
  package var unreadable: String?
  /// Whether they were never read yet, so that nothing else has begun.
  package var isWaiting = false
  package var isLedgerRefusing = false
  /// Whether entries may be missing right now, as while journald is away.
  package var isGapOpen = false

  package init() {}

  package var text: String {
    var parts: [String] = []
    if isWaiting {
      parts.append("Waiting: the hooks cannot be read now: \(unreadable ?? "")")
    } else {
      parts.append("Following the journal, \(FollowStatus.count(hooks))")
      if let unreadable { parts.append("what has changed cannot be read now: \(unreadable)") }
    }
    if isLedgerRefusing { parts.append("the ledger cannot be written, and nothing more is read until it can") }
    if isGapOpen { parts.append("the journal is not complete now") }
    if unusable > 0 { parts.append("\(FollowStatus.count(unusable)) cannot be used") }
    if suspended > 0 { parts.append("\(FollowStatus.count(suspended)) suspended") }
    return parts.joined(separator: "; ") + "."
  }

  /// "1 hook", "2 hooks".
  package static func count(_ number: Int) -> String { number == 1 ? "1 hook" : "\(number) hooks" }
}
