import Glibc
import Testing

/// ARCHITECTURE.md says which room knows which; Package.swift is what the compiler keeps.
@Suite struct ArchitectureTests {
  private func read(_ name: String) throws -> String {
    let file = try #require(fopen("\(repository)/\(name)", "r"), "\(name)")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// By room, the rooms that the table's last column names.
  private func table() throws -> [String: Set<String>] {
    var rooms: [String: Set<String>] = [:]
    for line in try read("ARCHITECTURE.md").split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|", omittingEmptySubsequences: false)
      guard cells.count == 5 else { continue }
      func names(_ cell: Substring) -> [String] {
        cell.split(separator: "`").filter { $0.contains(where: \.isLetter) }.map(String.init)
      }
      if let room = names(cells[1]).first { rooms[room] = Set(names(cells[3])) }
    }
    return rooms
  }

  @Test func theRoomsImportWhatTheTableAllows() throws {
    let rooms = try table()
    let package = try read("Package.swift")
    #expect(rooms.count == 11)
    let shared = try #require(package.firstMatch(of: /daemonRooms: \[Target\.Dependency\] = \[([^\]]*)\]/)).output.1
    func quoted(_ text: Substring) -> Set<String> { Set(text.matches(of: /"(\w+)"/).map { String($0.output.1) }) }
    for (room, allowed) in rooms {
      let pattern = try Regex<(Substring, Substring)>(
        #"(?:target|executableTarget)\(\s*name: "\#(room)",\s*dependencies: ((?:daemonRooms)?(?: \+ )?(?:\[[^\]]*\])?)"#
      )
      let found = try #require(package.firstMatch(of: pattern), "\(room)").output.1
      let text = found.contains("daemonRooms") ? found + shared : found
      #expect(quoted(text).filter { rooms[$0] != nil } == allowed, "\(room)")
    }
  }

  /// No room reaches upwards or sideways: the table has no cycles, and the four in the middle do not know each other.
  @Test func importsOnlyGoDown() throws {
    let rooms = try table()
    var done: Set<String> = []
    while let next = rooms.keys.sorted().first(where: { !done.contains($0) && rooms[$0]!.isSubset(of: done) }) {
      done.insert(next)
    }
    #expect(done == Set(rooms.keys))
    let middle: Set = ["RunLedger", "EventReading", "HookFiles", "Processes"]
    for room in middle { #expect(rooms[room]!.isDisjoint(with: middle), "\(room)") }
  }
}
