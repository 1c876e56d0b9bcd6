internal import Glibc
package import Hooks
internal import Lifecycle
internal import Systemd
package import TrustedFiles

/// The configuration as its files say now, or as they last said without an error.
package final class ConfigurationStore {
  /// More than any configuration needs.
  private static let sizeLimit = 64 * 1024

  /// Where the main file may be, the first one that is there counts; each may have drop-ins in a directory of its name and `.d`.
  package let paths: [String]
  package private(set) var configuration = Configuration()
  /// All that is wrong with the files.
  package private(set) var diagnostics: [Diagnostic] = []
  /// The files that were found through links.
  package private(set) var links: Set<String> = []
  private var isLoaded = false
  /// What could not be read now, though it may be a moment later.
  private var failure: TrustError?

  /// The system's configuration files.
  package static let systemPaths = [
    "/etc/journalhook", "/run/journalhook", "/usr/local/lib/journalhook", "/usr/lib/journalhook",
  ].map { $0 + "/journalhook.conf" }

  package init(paths: [String]) { self.paths = paths }

  /// The directories of drop-ins.
  package var dropInDirectories: [String] { paths.map { $0 + ".d" } }

  /// Reads the files anew. With an error in one of them everything stays as it was; the first time, what could be read
  /// counts, and the defaults.
  ///
  /// - Throws: the first failure that is temporary. Nothing has changed, then.
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

  /// Reads the drop-ins of all directories by name; of several of one name the first counts.
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
    // What is not there, or gone since it was listed, is nobody's mistake.
    if error.problem == .notFound, error.path == path { return }
    diagnostics.append(Diagnostic(file: path, line: 1, severity: .error, message: "refused: \(error)"))
  }

  private static func split(_ path: String) -> (directory: String, name: String) {
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
  }
}
