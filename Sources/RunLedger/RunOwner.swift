internal import Glibc
internal import Systemd

/// Who does runs by a ledger: the one `follow`, and replays beside it.
package struct RunOwner: Equatable {
  /// The name of the one `follow` in the ledger.
  package static let follow = "follow"

  let pid: pid_t
  /// In clock ticks since boot, as in /proc/PID/stat: a number that is used again does not have the same.
  private let startTime: UInt64

  /// This process.
  package init() {
    pid = getpid()
    startTime = RunOwner.startTime(of: pid) ?? 0
  }

  /// Reads the name of a replay; nil when it is not one of these.
  package init?(_ name: String) {
    guard name.hasPrefix("replay-") else { return nil }
    self.init(text: name.dropFirst(7))
  }

  /// Reads what `text` gives.
  init?(text: some StringProtocol) {
    let parts = text.split(whereSeparator: { $0 == "-" || $0.isWhitespace })
    guard parts.count == 2, let pid = pid_t(parts[0]), let time = UInt64(parts[1]) else { return nil }
    self.pid = pid
    startTime = time
  }

  /// Its number and its start time: what tells it from every other process of this boot.
  var text: String { "\(pid)-\(startTime)" }

  /// The name of a replay in the ledger.
  package var name: String { "replay-\(text)" }

  package var isAlive: Bool { RunOwner.startTime(of: pid) == startTime }

  private static func startTime(of pid: pid_t) -> UInt64? {
    // The second field is the command's name in parentheses and may hold anything; the 22nd is the start time (proc(5)).
    guard let text = readText("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[end...].split(separator: " ")
    // One that has ended and waits for its parent to ask does nothing more.
    return fields.count > 20 && !["Z", "X"].contains(fields[1]) ? UInt64(fields[20]) : nil
  }
}

extension Ledger {
  /// Who else does runs now that are in the ledger.
  package func livingOwners(besides own: String) throws(SQLiteError) -> [String] {
    var living: [String] = []
    var last = ""
    // From one to the next by the index: there may be thousands of runs.
    while let next = try database.query(
      "SELECT owner FROM runs WHERE open AND owner > ? ORDER BY owner LIMIT 1", .text(last)
    ).first?.first?.text {
      last = next
      if next == own { continue }
      let owner = next == RunOwner.follow ? LedgerLock.holder(in: stateDirectory) : RunOwner(next)
      if owner?.isAlive == true { living.append(next) }
    }
    return living
  }
}
