internal import Glibc
package import Hooks
internal import Lifecycle
internal import Systemd
package import TrustedFiles

/// The configuration that was last read without an error.
package final class ConfigurationStore {
  /// The largest size of a configuration file, in bytes: more than any needs.
  private static let sizeLimit = 64 * 1024

  /// The paths of the main file. The first one that exists is read. The drop-ins of each are in a directory of its name and
  /// `.d`.
  package let paths: [String]
  /// The settings that apply.
  package private(set) var configuration = Configuration()
  /// The errors and warnings about the files.
  package private(set) var diagnostics: [Diagnostic] = []
  /// The paths of files that are symbolic links.
  package private(set) var links: Set<String> = []
  private var isLoaded = false
  /// The first temporary error.
  private var failure: TrustError?

  /// The system's configuration files.
  package static let systemPaths = [
    "/etc/journalhook", "/run/journalhook", "/usr/local/lib/journalhook", "/usr/lib/journalhook",
  ].map { $0 + "/journalhook.conf" }

  package init(paths: [String]) { self.paths = paths }

  /// The drop-in directories.
  package var dropInDirectories: [String] { paths.map { $0 + ".d" } }

  /// Reads the files. If one of them has an error, the configuration stays the same. Only the first time, the settings that
  /// could be read apply nevertheless, with the defaults for the others.
  ///
  /// - Throws: the first temporary error. Then nothing has changed.
  package func load() throws(TrustError) {
    var parser = ConfigurationParser()
    let before = diagnostics
    failure = nil
    diagnostics = []
    links = []
    if let path = paths.first(where: { unsafe access($0, F_OK) == 0 || errno != ENOENT }) {
      let (directory, name) = ConfigurationStore.split(path)
      do throws(TrustError) {
        try read(name, in: try TrustedDirectory.open(directory), directory, &parser)
      } catch {
        refuse(path, error)
      }
    }
    readDropIns(&parser)
    if let failure {
      diagnostics = before
      throw failure
    }
    diagnostics += parser.diagnostics
    let hasErrors = diagnostics.contains { $0.severity == .error }
    if !hasErrors || !isLoaded { configuration = parser.configuration }
    isLoaded = true
  }

  /// Reads the drop-ins of all directories in the order of their names. If several have the same name, the one in the first
  /// directory is read.
  private func readDropIns(_ parser: inout ConfigurationParser) {
    var directories: [String: String] = [:]
    for directory in dropInDirectories {
      do throws(TrustError) {
        for name in try TrustedDirectory.open(directory).names() where HookFileNames.isDropIn(name) {
          if directories[name] == nil { directories[name] = directory }
        }
      } catch {
        refuse(directory, error)
      }
    }
    for (name, directory) in directories.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      do throws(TrustError) {
        try read(name, in: try TrustedDirectory.open(directory), directory, &parser)
      } catch {
        refuse("\(directory)/\(name)", error)
      }
    }
  }

  private func read(
    _ name: String, in directory: borrowing TrustedDirectory, _ path: String, _ parser: inout ConfigurationParser
  ) throws(TrustError) {
    if try directory.isMask(name) { return }
    let file = try directory.openFile(name)
    if file.path != "\(path)/\(name)" { links.insert("\(path)/\(name)") }
    parser.add(try file.readAll(limit: ConfigurationStore.sizeLimit), file: "\(path)/\(name)")
  }

  private func refuse(_ path: String, _ error: TrustError) {
    if error.isTemporary { failure = failure ?? error }
    // A file that does not exist, or was removed since it was listed, is not an error.
    if error.problem == .notFound, error.path == path { return }
    diagnostics.append(Diagnostic(file: path, line: 1, severity: .error, message: "refused: \(error)"))
  }

  private static func split(_ path: String) -> (directory: String, name: String) {
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
  }
}
