internal import Glibc
package import Lifecycle
package import Systemd

/// The machine on which a journal is read.
///
/// `SystemReadingHost` is this machine. A simulation has machines of its own.
package protocol ReadingHost {
  var clocks: any Clocks { get }
  /// The id of the machine: 32 hexadecimal digits.
  func machine() throws(SystemError) -> String
  /// The id of its current boot: 32 hexadecimal digits.
  func boot() throws(SystemError) -> String
  var hostname: String? { get }
  /// Whether the journal is in directories, whose watches can be checked.
  var hasJournalDirectories: Bool { get }
  /// Opens journal files.
  func open(_ source: Journal.Source) throws(SystemError) -> any JournalFiles
  /// Connects to a service manager that runs on the machine.
  func connect(to manager: Manager) throws(SystemError) -> any ManagerLink
}

/// This machine.
package struct SystemReadingHost: ReadingHost {
  package let clocks: any Clocks

  package init(clocks: any Clocks = SystemClocks()) { self.clocks = clocks }

  package func machine() throws(SystemError) -> String { try Id128.machine() }
  package func boot() throws(SystemError) -> String { try Id128.boot() }
  package var hostname: String? { hostName() }
  package var hasJournalDirectories: Bool { true }

  package func open(_ source: Journal.Source) throws(SystemError) -> any JournalFiles { try SystemJournal(source) }

  package func connect(to manager: Manager) throws(SystemError) -> any ManagerLink {
    switch manager {
    case .system: try geteuid() == 0 ? Bus.privateSystemManager() : Bus.systemBus()
    case .user: try Bus.privateUserManager()
    }
  }
}
