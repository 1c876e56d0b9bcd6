package import Systemd

/// A span of the journal of which entries may be missing.
package struct Gap: Sendable, Equatable {
  /// Why.
  package enum Kind: String, Sendable, CaseIterable {
    /// The entry that was read last is gone, and what came after it may be, too.
    case vacuumed
    /// The journal's file was removed while journald wrote to it.
    case deleted
    /// The place to go on from is another machine's.
    case foreignCursor = "foreign-cursor"
    /// The place to go on from is later than all that the journal has.
    case futureCursor = "future-cursor"
    /// A journal file cannot be read further.
    case corrupt
    /// journald has dropped what the manager wrote, as it was too much.
    case rateLimited = "rate-limited"
    /// journald did not run, or did not take what was written.
    case journaldAway = "journald-away"
    /// The ledger was damaged, and with it what was known of what was read.
    case ledgerLost = "ledger-lost"
  }

  package var kind: Kind
  /// From when on, in microseconds since 1970.
  package var since: UInt64
  /// Until when, in microseconds since 1970.
  package var until: UInt64
  /// What more is known of it, as a sentence.
  package var detail: String?

  package init(_ kind: Kind, since: UInt64, until: UInt64, detail: String? = nil) {
    self.kind = kind
    self.since = min(since, until)
    self.until = max(since, until)
    self.detail = detail
  }

  /// What people read: the time span, the reason, and how following goes on.
  package var text: String {
    let window = "from \(Timestamp(microseconds: since)) until \(Timestamp(microseconds: until))"
    let text =
      switch kind {
      case .vacuumed:
        "The journal no longer has the entry that was read last: events \(window) may be missing. "
          + "Following from the next entry on."
      case .deleted:
        "The journal's file was removed while journald wrote to it: events \(window) may be missing. "
          + "Following from the next entry on."
      case .foreignCursor:
        "The place to go on from is another machine's, as if the state directory had been copied from there: events "
          + "\(window) may be missing. Following from the first entry after it on."
      case .futureCursor:
        "The place to go on from is later than all that the journal has, as if the clock had been set back or an older journal "
          + "restored: events \(window) may be missing. Following from the journal's end on."
      case .corrupt:
        "A journal file is damaged: events \(window) may be missing. Following from the next entry that can be read on; "
          + "journalctl --verify shows the file."
      case .rateLimited:
        "journald has dropped messages of the service manager, as they were too many: events \(window) may be missing. "
          + "RateLimitBurst= in journald.conf(5) raises the limit."
      case .journaldAway: "journald was not there or took no messages: events \(window) may be missing."
      case .ledgerLost:
        "The ledger was lost: runs for events \(window) may be missing that it had planned; those are not planned again."
      }
    return detail.map { "\(text) \($0)" } ?? text
  }
}

/// What was found where an entry should have been that was read before.
package struct LostPlace: Sendable, Equatable {
  /// The entry.
  package var cursor: JournalCursor
  /// The first one after it, of any service; nil when there is none.
  package var next: JournalCursor?
  /// The last one of the journal; nil when it is empty.
  package var newest: JournalCursor?
  /// Whether the journal has any entry of the cursor's boot.
  package var hasBoot = true
  /// Whether the journal is only in /run, and ends with the boot.
  package var isVolatile = false

  package init(cursor: JournalCursor) { self.cursor = cursor }

  /// What that means.
  package enum Meaning: Sendable, Equatable {
    /// Nothing can have been missed.
    case nothing
    /// The journal has ended with its boot, as was to be expected.
    case endOfBoot
    case gap(Gap)
  }

  /// Judges it.
  ///
  /// - Parameters:
  ///   - isForeign: the cursor is known to be of another machine.
  ///   - boot: the boot that the machine is in; nil where that is not known.
  ///   - now: in microseconds since 1970.
  package func meaning(isForeign: Bool, boot: String?, now: UInt64) -> Meaning {
    let end = next?.realtime ?? now
    if isForeign { return .gap(Gap(.foreignCursor, since: cursor.realtime, until: now)) }
    if let next, next.isSuccessor(of: cursor) { return .nothing }
    if isVolatile, !hasBoot, let boot, cursor.boot != boot { return .endOfBoot }
    if next == nil, let newest, newest.realtime < cursor.realtime || newest.boot != cursor.boot {
      return .gap(Gap(.futureCursor, since: newest.realtime, until: now))
    }
    return .gap(Gap(.vacuumed, since: cursor.realtime, until: end))
  }
}
