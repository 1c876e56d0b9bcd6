package import Systemd

/// What journald says or shows about itself that matters to a reader of the whole journal.
package enum JournaldMessage: Sendable, Equatable {
  /// It has begun to run.
  case started
  /// It has ended as it was asked to.
  case stopped
  /// It has dropped this number of messages of the service manager, because there were too many (nil: the number is not known).
  case suppressed(Int?)
  /// The kernel has overwritten messages before it could read them.
  case missedKernelMessages
  /// It has taken an entry only so long after it was sent, in microseconds: it was not running, or was held up.
  case late(UInt64)

  /// From this delay on an entry shows that journald was held up, in microseconds. It takes entries within a millisecond;
  /// PID 1 waits 10 ms for it and then drops what it has to say (systemd's log.c, `write_to_journal` with SO_SNDTIMEO).
  package static let patience: UInt64 = 1_000_000

  /// The fields that reading needs.
  package static let fields: [StaticString] = [
    "MESSAGE", "MESSAGE_ID", "N_DROPPED", "_TRANSPORT", "_MACHINE_ID", "_SOURCE_REALTIME_TIMESTAMP",
  ]

  /// Reads an entry; nil when it says nothing of the kind.
  ///
  /// - Parameter scope: the control group of the manager's own messages, without the leading slash: `init.scope`.
  package init?(_ entry: JournalEntry, machine: String, scope: String) {
    guard entry["_MACHINE_ID"] == machine else { return nil }
    guard entry["_TRANSPORT"] == "driver" else {
      // journald takes it from the kernel's time stamp of the datagram (sd-journal's systemd.journal-fields(7)).
      guard entry["_TRANSPORT"] == "journal",
        let sent = entry["_SOURCE_REALTIME_TIMESTAMP"].flatMap({ UInt64($0) }), sent < entry.realtime,
        entry.realtime - sent > JournaldMessage.patience
      else { return nil }
      self = .late(entry.realtime - sent)
      return
    }
    // sd-messages.h: SD_MESSAGE_JOURNAL_START, _STOP, _DROPPED, _MISSED.
    switch entry["MESSAGE_ID"] {
    case "f77379a8490b408bbe5f6940505a777b": self = .started
    case "d93fb3c9c24d451a97cea615ce59c00b": self = .stopped
    case "a596d6fe7bfa4994828e72309e95d61e":
      // "Suppressed 5 messages from init.scope": journald names the unit, or, from its first versions, the control group.
      guard let source = entry["MESSAGE"]?.split(separator: " ").last,
        source.drop(while: { $0 == "/" }) == scope
      else { return nil }
      self = .suppressed(entry["N_DROPPED"].flatMap { Int($0) })
    case "e9bf28e6e834481bb6f48f548ad13606": self = .missedKernelMessages
    default: return nil
    }
  }
}
