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
      "Read hooks from this directory instead of the default ones. May be given more than once; the first that has a "
        + "file of a name wins.", valueName: "dir"))
  var hooks: [String] = []

  /// The directories, as absolute paths.
  ///
  /// - Throws: a message when one that was asked for does not exist: it would silently run nothing.
  func directories(of manager: Manager, isLocal: Bool = true) throws -> [String] {
    if hooks.isEmpty {
      guard isLocal else {
        throw ValidationError(
          "With --directory or --file, --hooks is required: hooks for this machine's units are not for others'.")
      }
      return manager == .system ? HookStore.systemDirectories : UserDirectories.hooks
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
      "Keep the ledger (journalhook.db) in this directory; otherwise in $STATE_DIRECTORY, else in /var/lib/journalhook, "
        + "or with --user in $XDG_STATE_HOME/journalhook.",
      valueName: "dir"))
  var stateDir: String?

  func directory(of manager: Manager) -> String {
    if let stateDir { return absolutePath(stateDir) }
    // systemd gives several, separated by colons (systemd.exec(5), StateDirectory=).
    if let given = unsafe getenv("STATE_DIRECTORY") {
      let text = unsafe String(cString: given)
      if let first = text.split(separator: ":").first { return String(first) }
    }
    return manager == .system ? "/var/lib/journalhook" : UserDirectories.state
  }
}

/// Where `journalhook.conf` may be, or with `--user` what stands for it.
func configurationPaths(of manager: Manager) -> [String] {
  manager == .system ? ConfigurationStore.systemPaths : UserDirectories.configuration
}

/// Where a user's own hooks and ledger are (the XDG base directory specification).
enum UserDirectories {
  /// The first that has a file of a name wins.
  static var hooks: [String] {
    own("hooks.d") + ["/etc/journalhook/user-hooks.d", "/usr/lib/journalhook/user-hooks.d"]
  }

  /// The first that is there counts.
  static var configuration: [String] {
    own("journalhook.conf") + ["/etc/journalhook/user.conf", "/usr/lib/journalhook/user.conf"]
  }

  private static func own(_ name: String) -> [String] {
    let bases = [base("XDG_CONFIG_HOME", ".config"), UserRuntimeDirectory.path, base("XDG_DATA_HOME", ".local/share")]
    return bases.map { "\($0)/journalhook/\(name)" }
  }

  static var state: String { "\(base("XDG_STATE_HOME", ".local/state"))/journalhook" }

  private static func base(_ variable: String, _ fallback: String) -> String {
    // A path that is not absolute is to be ignored.
    if let value = unsafe getenv(variable), unsafe value.pointee == CChar(UInt8(ascii: "/")) {
      return unsafe String(cString: value)
    }
    if let home = unsafe getenv("HOME") { return unsafe String(cString: home) + "/" + fallback }
    let home = unsafe getpwuid(geteuid()).map { unsafe String(cString: $0.pointee.pw_dir) } ?? ""
    return "\(home)/\(fallback)"
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
