internal import Lifecycle
internal import Systemd

/// The boots of which a machine's journal has entries, from the newest to the oldest.
final class BootList {
  /// One boot.
  struct Boot: Sendable, Equatable {
    /// 32 hexadecimal digits.
    var id: String
    /// The cursor of its first entry.
    var cursor: String
    /// The time of that entry in microseconds since 1970.
    var realtime: UInt64
    var isNewest = false
  }

  private let source: MachineJournal
  private let journal: any JournalFiles
  /// The boots that were returned. Where the clock was set back, entries of one boot may be between those of another, and
  /// reading backward meets a boot again.
  private var seen: Set<String> = []
  private var last: Boot?

  init(_ source: MachineJournal, on host: any ReadingHost) throws(SystemError) {
    self.source = source
    journal = try source.open(on: host)
  }

  /// The boot of the newest entry, and the time of that entry in microseconds since 1970.
  func newest() throws(SystemError) -> (boot: String, time: UInt64)? {
    try match(boot: nil)
    try journal.seekTail()
    return try journal.previous() ? (try journal.boot(), try journal.realtime()) : nil
  }

  /// The boot before the one that was returned last, the newest at first; nil if there is none.
  func next() throws(SystemError) -> Boot? {
    try match(boot: nil)
    if let last {
      try journal.seek(cursor: last.cursor)
      guard try journal.next() else { return nil }
    } else {
      try journal.seekTail()
    }
    guard try journal.previous(), case let id = try journal.boot(), seen.insert(id).inserted else { return nil }
    let isNewest = last == nil
    last = try head(of: id)
    last?.isNewest = isNewest
    return last
  }

  /// The boot that the user has chosen; nil if the journal does not have it. Call this before `next()`.
  func boot(_ choice: EventHistory.BootChoice) throws(SystemError) -> Boot? {
    var all: [Boot] = []
    func index(_ index: Int) -> Boot? { all.indices.contains(index) ? all[index] : nil }
    while let boot = try next() {
      all.append(boot)
      if case .offset(let offset) = choice, offset <= 0, all.count > -offset { return boot }
    }
    switch choice {
    case .offset(let offset): return offset > 0 ? index(all.count - offset) : nil
    case .id(let id, let offset):
      guard let place = all.firstIndex(where: { $0.id == id }) else { return nil }
      return index(place - offset)
    }
  }

  /// The first entry of a boot; nil if the journal does not have the boot.
  func head(of id: String) throws(SystemError) -> Boot? {
    try match(boot: id)
    try journal.seekHead()
    guard try journal.next() else { return nil }
    return Boot(id: id, cursor: try journal.cursor(), realtime: try journal.realtime())
  }

  private func match(boot: String?) throws(SystemError) {
    // Entries of all units and services count, because journalctl counts boots in this way.
    journal.flushMatches()
    try source.addMachine(to: journal)
    if let boot { try journal.addMatch("_BOOT_ID", boot) }
  }
}
