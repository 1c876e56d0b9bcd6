internal import Glibc
internal import Systemd

/// Why a journal cannot be read, and what to do.
package struct JournalAccessError: Error, CustomStringConvertible {
  /// The whole message, with advice.
  package let description: String

  init(_ error: SystemError) {
    let advice =
      switch error.code {
      case EACCES: "Run as root, or as a member of the group systemd-journal."
      case ENOENT: "Check the name."
      case EBADMSG, EPROTONOSUPPORT:
        "It is not a journal file, or a later version of systemd has written it; check it with journalctl --verify."
      default: "Check whether journalctl can read it."
      }
    description = "Cannot \(error). \(advice)"
  }
}

/// Opens journals with errors that say what to do.
package enum JournalAccess {
  /// Opens a journal for reading events.
  package static func open(
    _ selection: JournalSelection, on host: any ReadingHost = SystemReadingHost()
  ) throws(JournalAccessError) -> EventReaders {
    do throws(SystemError) { return try EventReaders(selection, on: host) } catch {
      throw JournalAccessError(error)
    }
  }
}
