import ArgumentParser
import Glibc
import JournalHookDaemon

/// Where hooks are.
struct HookOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Read hooks from this directory instead of the default ones. May be given more than once; the first that has a "
        + "file of a name wins.", valueName: "dir"))
  var hooks: [String] = []

  /// The directories, as absolute paths.
  ///
  /// - Throws: a message when one that was asked for does not exist: it would silently run nothing.
  func directories(isLocal: Bool) throws -> [String] {
    if hooks.isEmpty {
      guard isLocal else {
        throw ValidationError(
          "With --directory or --file, --hooks is required: hooks for this machine's units are not for others'.")
      }
      return HookStore.systemDirectories
    }
    return try hooks.map { directory in
      let path = absolutePath(directory)
      var status = stat()
      guard unsafe stat(path, &status) == 0 else {
        let reason = unsafe String(cString: strerror(errno))
        throw Failure(
          "The hooks directory \(directory) cannot be used: \(reason). Make it, or name another one by --hooks.")
      }
      guard status.st_mode & S_IFMT == S_IFDIR else {
        throw Failure("--hooks \(directory) is not a directory.")
      }
      return path
    }
  }
}

/// Where the ledger is.
struct StateOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Keep the ledger (journalhook.db) in this directory; otherwise in $STATE_DIRECTORY, else in /var/lib/journalhook.",
      valueName: "dir"))
  var stateDir: String?

  var directory: String {
    if let stateDir { return absolutePath(stateDir) }
    // systemd gives several, separated by colons (systemd.exec(5), StateDirectory=).
    if let given = unsafe getenv("STATE_DIRECTORY") {
      let text = unsafe String(cString: given)
      if let first = text.split(separator: ":").first { return String(first) }
    }
    return "/var/lib/journalhook"
  }
}

/// The path from the root on, without a trailing slash.
func absolutePath(_ path: String) -> String {
  var path = path
  if !path.hasPrefix("/"), let current = unsafe getcwd(nil, 0) {
    defer { unsafe free(current) }
    path = unsafe String(cString: current) + "/" + path
  }
  while path.count > 1, path.hasSuffix("/") { path.removeLast() }
  return path
}

/// A failure that ends a command with exit code 1.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
