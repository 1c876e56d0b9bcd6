import ArgumentParser
internal import EventReading
import Glibc
internal import JournalHookDaemon
internal import Lifecycle
internal import Systemd

/// Whose units a command is about.
struct ManagerOptions: ParsableArguments {
  @Flag(name: .long, help: "The units, hooks and ledger of the calling user instead of the system's.")
  var user = false

  var manager: Manager { user ? .user(geteuid()) : .system }
}

/// Which journal a command reads: journalctl's own flags.
struct SourceOptions: ParsableArguments {
  @Option(name: [.customShort("D"), .long], help: "Read the journal files in this directory, of all machines.")
  var directory: String?

  @Option(name: .long, help: ArgumentHelp("Read these journal files. May be given more than once.", valueName: "glob"))
  var file: [String] = []

  @Option(name: .long, help: "Read the journal of this namespace; \"*\": of all, \"+NAME\": of it and the default one.")
  var namespace: String?

  @OptionGroup var managerOptions: ManagerOptions

  func validate() throws {
    if directory != nil, !file.isEmpty { throw ValidationError("--directory and --file exclude each other.") }
    if namespace != nil, directory != nil || !file.isEmpty {
      throw ValidationError("--namespace is for this machine's journal: it excludes --directory and --file.")
    }
  }

  var manager: Manager { managerOptions.manager }

  var selection: JournalSelection {
    JournalSelection(journal: journal, manager: manager)
  }

  private var journal: Journal.Source {
    if let directory { return .directory(absolutePath(directory)) }
    if !file.isEmpty { return .files(file.map(absolutePath)) }
    if let namespace { return .namespace(namespace) }
    return managerOptions.user ? .currentUser : .system
  }
}

/// Reads a time that was given on the command line; a bad one is wrong usage.
func parseTime(_ text: String?, option: String) throws -> Timestamp? {
  guard let text else { return nil }
  do {
    return try Timestamp(parsing: text, now: Clock.now())
  } catch {
    throw ValidationError("\(option): \(error).")
  }
}

/// Refuses times that cannot be read, and spans that end before they begin.
func checkSpan(since: String?, until: String?) throws {
  let since = try parseTime(since, option: "--since")
  let until = try parseTime(until, option: "--until")
  if let since, let until, until < since { throw ValidationError("--until is before --since.") }
}
