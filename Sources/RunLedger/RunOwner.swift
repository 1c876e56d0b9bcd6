internal import Glibc
internal import Systemd

/// A process that does runs of a ledger: the one `follow`, or a replay.
package struct RunOwner: Equatable {
  /// The name of `follow` in the ledger.
  package static let follow = "follow"

  let pid: pid_t
  /// In clock ticks since boot, as in /proc/PID/stat. A later process with the same pid has another start time.
  private let startTime: UInt64

  /// This process.
  package init() {
    pid = getpid()
    startTime = RunOwner.startTime(of: pid) ?? 0
  }

  /// Parses the name of a replay; nil for another name.
  package init?(_ name: String) {
    guard name.hasPrefix("replay-") else { return nil }
    self.init(text: name.dropFirst(7))
  }

  /// Parses `text`.
  init?(text: some StringProtocol) {
    let parts = text.split(whereSeparator: { $0 == "-" || $0.isWhitespace })
    guard parts.count == 2, let pid = pid_t(parts[0]), let time = UInt64(parts[1]) else { return nil }
    self.pid = pid
    startTime = time
  }

  /// The pid and the start time: together they are unique in this boot.
  var text: String { "\(pid)-\(startTime)" }

  /// The name of this replay in the ledger.
  package var name: String { "replay-\(text)" }

  /// Whether the process still runs.
  package var isAlive: Bool { RunOwner.startTime(of: pid) == startTime }

  private static func startTime(of pid: pid_t) -> UInt64? {
    // The second field is the name of the command in parentheses, and can contain any character. Field 22 is the start time
    // (proc(5)).
    guard let text = readText("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[end...].split(separator: " ")
    // A zombie does no more runs.
    return fields.count > 20 && !["Z", "X"].contains(fields[1]) ? UInt64(fields[20]) : nil
  }
}

extension Ledger {
  /// The other owners of open runs, and whether their processes still run; nil if that is not known.
  func otherOwners(besides own: String) throws(SQLiteError) -> [(name: String, isAlive: Bool?)] {
    var others: [(name: String, isAlive: Bool?)] = []
    var last = ""
    // One owner after the other, by the index: there may be thousands of runs.
    while let next = try database.query(
      "SELECT owner FROM runs WHERE open AND owner > ? ORDER BY owner LIMIT 1", .text(last)
    ).first?.first?.text {
      last = next
      if next != own { others.append((next, isAlive(next))) }
    }
    return others
  }
}
