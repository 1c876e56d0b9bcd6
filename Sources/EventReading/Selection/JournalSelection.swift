internal import Glibc
package import Lifecycle
package import Systemd

/// Which journal is read, and which managers' word counts in it.
package struct JournalSelection: Sendable, Equatable {
  package var journal: Journal.Source
  /// PID 1, or the manager of one user.
  package var manager: Manager
  /// Only what is said about these units is read; all units if empty.
  package var units: [String] = []
  /// Whether what journald says about itself is read as well.
  package var hearsJournald = false

  package init(journal: Journal.Source, manager: Manager = .system) {
    self.journal = journal
    self.manager = manager
  }

  /// Whether it is this machine's own journal, so that its live manager can be asked.
  package var isLocal: Bool {
    switch journal {
    case .system, .currentUser, .namespace: true
    case .directory, .files: false
    }
  }
}

/// The part of a selection that is about one machine.
struct MachineJournal: Equatable {
  var selection: JournalSelection
  var machine: String
  /// Whether its files hold entries of other machines, too.
  var isMixed = false

  /// Its name among the ledger's cursors.
  var name: String {
    switch (selection.journal, selection.manager) {
    case (.directory, .system), (.files, .system): machine
    case (.directory, .user(let uid)), (.files, .user(let uid)): "\(machine) user-\(uid)"
    case (.namespace(let name), _): "namespace \(name)"
    case (_, .user(let uid)): "user-\(uid)"
    case (_, .system): "local"
    }
  }

  /// The files it is read from, where they are named.
  var paths: [String] {
    // They are globs that name just one file each.
    if case .files(let globs) = selection.journal { (try? Journal.expand(globs)) ?? [] } else { [] }
  }

  var trust: EntryDecoder.Trust {
    switch selection.manager {
    case .user(let uid): .user(EntryDecoder.UserManager(uid: uid, machine: machine))
    case .system: selection.isLocal ? .localSystem(machine: machine) : .remote(machine: machine)
    }
  }

  func open() throws(SystemError) -> Journal {
    let journal = try Journal(selection.journal)
    if selection.isLocal, selection.manager == .system { try MachineJournal.checkAccess(journal, machine) }
    try addMatches(to: journal)
    return journal
  }

  /// Has libsystemd walk only the entries of the manager: some thousands in a journal of millions.
  func addMatches(to journal: borrowing Journal) throws(SystemError) {
    try addMachine(to: journal)
    switch selection.manager {
    case .system: try journal.addMatch("_PID", "1")
    case .user(let uid):
      // A user's manager has no fixed process number, but a place of its own among that user's processes.
      try journal.addMatch("_UID", String(uid))
      try journal.addMatch("_SYSTEMD_USER_UNIT", "init.scope")
    }
    let field = selection.manager == .system ? "UNIT" : "USER_UNIT"
    for unit in selection.units { try journal.addMatch(field, unit) }
    if selection.hearsJournald {
      try journal.addDisjunction()
      try addMachine(to: journal)
      try journal.addMatch("_TRANSPORT", "driver")
    }
  }

  /// Where others' entries are in the same files, only this machine's are read.
  func addMachine(to journal: borrowing Journal) throws(SystemError) {
    if isMixed { try journal.addMatch("_MACHINE_ID", machine) }
  }

  /// libsystemd opens a journal that it may not read as an empty one.
  private static func checkAccess(_ journal: borrowing Journal, _ machine: String) throws(SystemError) {
    guard !journal.hasFiles() else { return }
    for directory in ["/var/log/journal", "/run/log/journal"] {
      let path = "\(directory)/\(machine)/system.journal"
      if unsafe access(path, R_OK) != 0, errno == EACCES {
        throw SystemError("read the journal", path: path, code: EACCES)
      }
    }
  }
}
