import Glibc
import Systemd
import TestSupport

@testable import RunLedger

/// The files of a state directory, and what a power cut can leave of them: names are on disk for certain only after a sync of the
/// directory, and until then any of the changes may be missing.
final class RecordedFiles: LedgerFiles {
  typealias State = [String: [UInt8]]

  private let real = RealFiles()
  private let directory: String
  /// The directories that were synced.
  private(set) var synced: [String] = []
  private var durable: State
  /// The names that were changed together since the last sync; nil: the name is gone.
  private var changes: [[String: [UInt8]?]] = []
  /// Called whenever other states have become possible, or fewer.
  var onChange: () throws -> Void = {}

  init(in directory: String) {
    self.directory = directory
    durable = RecordedFiles.read(directory)
  }

  /// All states that a power cut can leave now.
  var states: [State] {
    (0..<(1 << changes.count)).map { subset in
      var state = durable
      for (index, change) in changes.enumerated() where subset >> index & 1 == 1 {
        for (name, bytes) in change { state[name] = bytes }
      }
      return state
    }
  }

  /// Others than this have made files with these names.
  func noteMade(_ names: [String]) throws {
    let now = RecordedFiles.read(directory)
    changes.append(now.filter { names.contains($0.key) })
    try onChange()
  }

  func write(_ text: String, to path: String) throws {
    try real.write(text, to: path)
    changes.append([RecordedFiles.name(path): Array(text.utf8)])
    try onChange()
  }

  func rename(_ path: String, to new: String) throws(SystemError) -> Bool {
    guard try real.rename(path, to: new) else { return false }
    changes.append([
      RecordedFiles.name(path): nil, RecordedFiles.name(new): RecordedFiles.read(directory)[RecordedFiles.name(new)],
    ])
    do { try onChange() } catch { throw SystemError("\(error)") }
    return true
  }

  func remove(_ path: String) {
    real.remove(path)
    changes.append([RecordedFiles.name(path): nil])
    do { try onChange() } catch { fatalError("\(error)") }
  }

  func syncDirectory(_ path: String) throws {
    try real.syncDirectory(path)
    synced.append(path)
    guard path == directory else { return }
    changes = []
    durable = RecordedFiles.read(directory)
    try onChange()
  }

  private static func name(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

  /// The files of a directory. The index of the log is not on disk.
  static func read(_ directory: String) -> State {
    var state: State = [:]
    guard let stream = opendir(directory) else { return state }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." || name.hasSuffix("-shm") { continue }
      let file = open("\(directory)/\(name)", O_RDONLY | O_CLOEXEC)
      defer { close(file) }
      var bytes = [UInt8](repeating: 0, count: 1 << 20)
      let count = Glibc.read(file, &bytes, bytes.count)
      state[name] = Array(bytes.prefix(max(0, count)))
    }
    return state
  }
}
