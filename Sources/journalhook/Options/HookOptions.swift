import ArgumentParser
import Glibc
internal import HookFiles
internal import JournalHookDaemon
internal import Lifecycle
internal import Systemd

/// Where hooks are.
struct HookOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Read hooks from this directory instead of the default ones. Can be given more than once: of files with the same name "
        + "the first one counts.", valueName: "dir"))
  var hooks: [String] = []

  /// The directories, as absolute paths.
  ///
  /// - Throws: `Failure` when a directory of `--hooks` does not exist: without that error no hook would run, and nobody would know.
  func directories(of manager: Manager, isLocal: Bool = true) throws -> [String] {
    if hooks.isEmpty {
      guard isLocal else {
        throw ValidationError(
          "--hooks is required with --directory or --file: the default hooks are for the units of this machine.")
      }
      return manager == .system ? HookStore.systemDirectories : UserDirectories.hooks
    }
    return try hooks.map { directory in
      let path = absolutePath(directory)
      var status = stat()
      guard unsafe stat(path, &status) == 0 else {
        let reason = unsafe String(cString: strerror(errno))
        throw Failure(
          "The hooks directory \(directory) cannot be used: \(reason). Create it, or name another one with --hooks.")
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
      "Keep the ledger (journalhook.db) in this directory. Default: $STATE_DIRECTORY, or /var/lib/journalhook, or with "
        + "--user $XDG_STATE_HOME/journalhook.",
      valueName: "dir"))
  var stateDir: String?

  func directory(of manager: Manager) -> String {
    if let stateDir { return absolutePath(stateDir) }
    // systemd can set several, separated by colons (systemd.exec(5), StateDirectory=).
    if let given = unsafe getenv("STATE_DIRECTORY") {
      let text = unsafe String(cString: given)
      if let first = text.split(separator: ":").first { return String(first) }
    }
    return manager == .system ? "/var/lib/journalhook" : UserDirectories.state
  }
}

/// Where `journalhook.conf` can be, or with `--user` the files that are used in its place.
func configurationPaths(of manager: Manager) -> [String] {
  manager == .system ? ConfigurationStore.systemPaths : UserDirectories.configuration
}

/// Where the hooks, settings and ledger of a user are (the XDG base directory specification).
enum UserDirectories {
  /// Of files with the same name the one in the first directory counts.
  static var hooks: [String] {
    own("hooks.d") + ["/etc/journalhook/user-hooks.d", "/usr/lib/journalhook/user-hooks.d"]
  }

  /// The first one that exists counts.
  static var configuration: [String] {
    own("journalhook.conf") + ["/etc/journalhook/user.conf", "/usr/lib/journalhook/user.conf"]
  }

  private static func own(_ name: String) -> [String] {
    let bases = [base("XDG_CONFIG_HOME", ".config"), UserRuntimeDirectory.path, base("XDG_DATA_HOME", ".local/share")]
    return bases.map { "\($0)/journalhook/\(name)" }
  }

  static var state: String { "\(base("XDG_STATE_HOME", ".local/state"))/journalhook" }

  private static func base(_ variable: String, _ fallback: String) -> String {
    // The specification says to ignore a path that is not absolute.
    if let value = unsafe getenv(variable), unsafe value.pointee == CChar(UInt8(ascii: "/")) {
      return unsafe String(cString: value)
    }
    if let home = unsafe getenv("HOME") { return unsafe String(cString: home) + "/" + fallback }
    let home = unsafe getpwuid(geteuid()).map { unsafe String(cString: $0.pointee.pw_dir) } ?? ""
    return "\(home)/\(fallback)"
  }
}

/// The absolute path, without a trailing slash.
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
