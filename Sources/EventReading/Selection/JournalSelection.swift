internal import Glibc
package import Lifecycle
package import Systemd

/// The journal that is read, and the service manager whose messages are read in it.
package struct JournalSelection: Sendable, Equatable {
  /// The journal files that are read.
  package var journal: Journal.Source
  /// PID 1, or the manager of one user.
  package var manager: Manager
  /// The units whose messages are read; those of all units if empty.
  package var units: [String] = []
  /// Whether journald's messages about itself are read, too.
  package var includesJournald = false

  package init(journal: Journal.Source, manager: Manager = .system) {
    self.journal = journal
    self.manager = manager
  }

  /// Whether this is the journal of this machine, so that its running service manager can be asked.
  package var isLocal: Bool {
    switch journal {
    case .system, .currentUser, .namespace: true
    case .directory, .files: false
    }
  }
}

/// The part of a selection that belongs to one machine.
struct MachineJournal: Equatable {
  var selection: JournalSelection
  var machine: String
  /// Whether the files contain entries of other machines, too.
  var isMixed = false

  /// The name under which the ledger stores the cursor.
  var name: String {
    switch (selection.journal, selection.manager) {
    case (.directory, .system), (.files, .system): machine
    case (.directory, .user(let uid)), (.files, .user(let uid)): "\(machine) user-\(uid)"
    case (.namespace(let name), _): "namespace \(name)"
    case (_, .user(let uid)): "user-\(uid)"
    case (_, .system): "local"
    }
  }

  /// The journal files, if the selection names files.
  var paths: [String] {
    // Each of these globs matches a single file.
    if case .files(let globs) = selection.journal { (try? Journal.expand(globs)) ?? [] } else { [] }
  }

  var trust: EntryDecoder.Trust {
    switch selection.manager {
    case .user(let uid): .user(EntryDecoder.UserManager(uid: uid, machine: machine))
    case .system: selection.isLocal ? .localSystem(machine: machine) : .remote(machine: machine)
    }
  }

  func open(on host: any ReadingHost) throws(SystemError) -> any JournalFiles {
    let journal = try host.open(selection.journal)
    if selection.isLocal, selection.manager == .system { try MachineJournal.checkAccess(journal, machine) }
    try addMatches(to: journal)
    return journal
  }

  /// Restricts reading to the entries of the service manager, of which a journal with millions of entries has some thousands.
  func addMatches(to journal: any JournalFiles) throws(SystemError) {
    try addMachine(to: journal)
    switch selection.manager {
    case .system: try journal.addMatch("_PID", "1")
    case .user(let uid):
      // The manager of a user has no fixed pid, but it is the only process in that user's init.scope.
      try journal.addMatch("_UID", String(uid))
      try journal.addMatch("_SYSTEMD_USER_UNIT", "init.scope")
    }
    let field = selection.manager == .system ? "UNIT" : "USER_UNIT"
    for unit in selection.units { try journal.addMatch(field, unit) }
    if selection.includesJournald {
      try journal.addDisjunction()
      try addMachine(to: journal)
      try journal.addMatch("_TRANSPORT", "driver")
    }
  }

  /// Restricts reading to this machine, if the files contain entries of others.
  func addMachine(to journal: any JournalFiles) throws(SystemError) {
    if isMixed { try journal.addMatch("_MACHINE_ID", machine) }
  }

  /// Reports a journal that may not be read, because libsystemd opens it as an empty one.
  private static func checkAccess(_ journal: any JournalFiles, _ machine: String) throws(SystemError) {
    guard !journal.hasFiles() else { return }
    for directory in ["/var/log/journal", "/run/log/journal"] {
      let path = "\(directory)/\(machine)/system.journal"
      if unsafe access(path, R_OK) != 0, errno == EACCES {
        throw SystemError("read the journal", path: path, code: EACCES)
      }
    }
  }
}
