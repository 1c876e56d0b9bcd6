internal import Glibc
package import Systemd

/// A journal that cannot be read, in words that say what to do.
package struct JournalAccessError: Error, CustomStringConvertible {
  package let description: String

  init(_ error: SystemError) {
    let advice =
      switch error.code {
      case EACCES: "Run as root, or as a member of the group systemd-journal."
      case ENOENT: "Check the name."
      case EBADMSG, EPROTONOSUPPORT:
        "It is no journal file, or one of a later systemd; journalctl --verify tells more."
      default: "journalctl shows whether it can read it."
      }
    description = "Cannot \(error). \(advice)"
  }
}

package enum JournalAccess {
  /// Opens a journal for reading events.
  package static func open(
    _ selection: JournalSelection, clocks: any Clocks = SystemClocks()
  ) throws(JournalAccessError) -> EventReaders {
    do throws(SystemError) { return try EventReaders(selection, clocks: clocks) } catch {
      throw JournalAccessError(error)
    }
  }
}
