package import Systemd

/// The gaps that journald's own messages show (`JournaldMessage`).
///
/// A value without a clock: messages come in, findings come out.
package struct JournaldGaps: Sendable {
  package enum Finding: Sendable, Equatable {
    /// Entries may be missing.
    case gap(Gap)
    /// Something may be missing, and it is not known since when: only a comparison with the live state shows it.
    case mayBeMissing
  }

  /// When no entry has come late for so long, in microseconds, no more is expected.
  package static let lateTime: UInt64 = 500_000

  private let boot: CurrentBoot
  /// When journald said that it ends, in microseconds since 1970.
  private var stop: UInt64?
  /// The span of entries that it took late, in microseconds since 1970.
  private var late: (since: UInt64, until: UInt64)?

  package init(boot: CurrentBoot) { self.boot = boot }

  /// Whether entries may be missing right now.
  package var isOpen: Bool { stop != nil || late != nil }
  /// Whether entries have come late, and `endLate` is to be called when `lateTime` has passed without another.
  package var isLate: Bool { late != nil }

  /// Takes note of a message.
  ///
  /// - Parameters:
  ///   - here: its entry's place.
  ///   - before: the place of the entry before it; nil if that is not known.
  package mutating func note(
    _ message: JournaldMessage, at here: JournalCursor, before: JournalCursor?
  ) -> Finding? {
    // What was lost in another boot is no more to be found; and journald begins with each boot.
    guard !boot.isLater(than: here.boot, here.monotonic) else { return nil }
    switch message {
    case .stopped:
      stop = here.realtime
      return nil
    case .started:
      let since = stop ?? before?.realtime
      stop = nil
      guard let since, let before, !boot.isLater(than: before.boot, before.monotonic), boot.userspace > 0,
        before.monotonic >= boot.userspace
      else { return nil }
      return .gap(Gap(.journaldAway, since: since, until: here.realtime, detail: "It was started again."))
    case .late(let delay):
      let sent = here.realtime - delay
      late = (min(late?.since ?? sent, sent), here.realtime)
      return nil
    case .suppressed(let count):
      let detail = count.map { "\($0) messages were dropped." }
      return .gap(
        Gap(.rateLimited, since: before?.realtime ?? here.realtime, until: here.realtime, detail: detail))
    case .missedKernelMessages: return .mayBeMissing
    }
  }

  /// Entries that came late came together, and make one gap.
  package mutating func endLate() -> Gap? {
    defer { late = nil }
    return late.map { Gap(.journaldAway, since: $0.since, until: $0.until, detail: "It took them later.") }
  }
}
