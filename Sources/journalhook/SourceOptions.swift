import ArgumentParser
import JournalHookDaemon
import Systemd

/// Which journal a command reads: journalctl's own flags.
struct SourceOptions: ParsableArguments {
  @Option(name: [.customShort("D"), .long], help: "Read the journal files in this folder.")
  var directory: String?

  @Option(name: .long, help: ArgumentHelp("Read these journal files. May be given more than once.", valueName: "glob"))
  var file: [String] = []

  func validate() throws {
    if directory != nil, !file.isEmpty { throw ValidationError("--directory and --file exclude each other.") }
  }

  var selection: JournalSelection {
    if let directory { return JournalSelection(journal: .directory(directory)) }
    if !file.isEmpty { return JournalSelection(journal: .files(file)) }
    return JournalSelection(journal: .system)
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
