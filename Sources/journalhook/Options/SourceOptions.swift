import ArgumentParser
internal import EventReading
import Glibc
internal import JournalHookDaemon
internal import Lifecycle
internal import Systemd

/// The option for the service manager whose units a command is about.
struct ManagerOptions: ParsableArguments {
  @Flag(name: .long, help: "Use the units, hooks and ledger of the calling user instead of those of the system.")
  var user = false

  var manager: Manager { user ? .user(geteuid()) : .system }
}

/// The options for the journal that a command reads. They are the options of journalctl.
struct SourceOptions: ParsableArguments {
  @Option(name: [.customShort("D"), .long], help: "Read the journal files of all machines in this directory.")
  var directory: String?

  @Option(name: .long, help: ArgumentHelp("Read these journal files. Can be given more than once.", valueName: "glob"))
  var file: [String] = []

  @Option(
    name: .long,
    help: "Read the journal of this namespace. \"*\": of all namespaces. \"+NAME\": of this one and the default one.")
  var namespace: String?

  @OptionGroup var managerOptions: ManagerOptions

  func validate() throws {
    if directory != nil, !file.isEmpty { throw ValidationError("--directory and --file cannot be used together.") }
    if namespace != nil, directory != nil || !file.isEmpty {
      throw ValidationError(
        "--namespace is for the journal of this machine: it cannot be used with --directory or --file.")
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

/// Parses a time from the command line; throws a usage error when it is not one.
func parseTime(_ text: String?, option: String) throws -> Timestamp? {
  guard let text else { return nil }
  do {
    return try Timestamp(parsing: text, now: Clock.now())
  } catch {
    throw ValidationError("\(option): \(error).")
  }
}

/// Throws a usage error for a time that cannot be parsed, and for a span that ends before it starts.
func checkSpan(since: String?, until: String?) throws {
  let since = try parseTime(since, option: "--since")
  let until = try parseTime(until, option: "--until")
  if let since, let until, until < since { throw ValidationError("--until is before --since.") }
}
