internal import Glibc
internal import Systemd

/// A reader of the simulated journal: what libsystemd does for `Journal`.
final class SimulatedJournal: JournalFiles {
  private enum Position {
    /// Before the entry of a number.
    case before(Int)
    /// On the entry of a number.
    case on(Int)
  }

  private let journald: SimulatedJournald
  private var position = Position.before(0)
  /// Groups of matches: an entry has to fit one group.
  private var groups: [[(field: String, value: String)]] = [[]]
  private var seenGeneration: Int
  private var seenEnd: Int
  let descriptor: CInt
  private let errors: () -> SystemError?

  /// - Parameter errors: returns the error of the next read, if there is to be one.
  init(_ journald: SimulatedJournald, descriptor: CInt, errors: @escaping () -> SystemError?) {
    self.journald = journald
    self.descriptor = descriptor
    self.errors = errors
    seenGeneration = journald.generation
    seenEnd = journald.end
  }

  /// Whether something has changed since `process()`.
  var isReady: Bool { seenGeneration != journald.generation || seenEnd != journald.end }

  // MARK: Matches

  func addMatch(_ field: String, _ value: String) { groups[groups.count - 1].append((field, value)) }
  func addDisjunction() { groups.append([]) }
  func flushMatches() { groups = [[]] }

  private func fits(_ stored: SimulatedJournald.Stored) -> Bool {
    groups.contains { group in
      group.allSatisfy { match in
        // Several values of one field are alternatives.
        group.contains { $0.field == match.field && value(of: match.field, stored) == $0.value }
      }
    }
  }

  private func value(of field: String, _ stored: SimulatedJournald.Stored) -> String {
    switch field {
    case "_PID": stored.pid
    case "_TRANSPORT": stored.transport
    case "_BOOT_ID": stored.entry.boot
    case "_MACHINE_ID": stored.machine
    case "UNIT": stored.unit
    default: ""
    }
  }

  // MARK: Position

  func next() throws(SystemError) -> Bool {
    if let error = errors() { throw error }
    var number =
      switch position {
      case .before(let number): number
      case .on(let number): number + 1
      }
    number = max(number, journald.first)
    while number < journald.end {
      if fits(journald.entry(number)) {
        position = .on(number)
        return true
      }
      number += 1
    }
    return false
  }

  func previous() throws(SystemError) -> Bool {
    if let error = errors() { throw error }
    var number =
      switch position {
      case .before(let number), .on(let number): number - 1
      }
    while number >= journald.first {
      if fits(journald.entry(number)) {
        position = .on(number)
        return true
      }
      number -= 1
    }
    return false
  }

  func seekHead() { position = .before(journald.first) }
  func seekTail() { position = .before(journald.end) }

  func seek(realtime: UInt64) {
    let index = journald.stored.firstIndex { $0.entry.realtime >= realtime } ?? journald.stored.count
    position = .before(journald.first + index)
  }

  func seek(cursor: String) {
    guard let cursor = JournalCursor(cursor) else { return seekHead() }
    if let number = number(of: cursor) { position = .before(number) } else { seekBehind(cursor) }
  }

  func resume(after cursor: JournalCursor) -> Journal.Resumption {
    if let number = number(of: cursor) {
      position = .on(number)
      return .found
    }
    seekBehind(cursor)
    return .lost
  }

  private func number(of cursor: JournalCursor) -> Int? {
    journald.stored.firstIndex {
      $0.entry.monotonic == cursor.monotonic && $0.entry.boot == cursor.boot
        && JournalCursor($0.entry.cursor)?.namesSameEntry(as: cursor) == true
    }.map { journald.first + $0 }
  }

  /// Moves before the first entry after the time of a cursor.
  private func seekBehind(_ cursor: JournalCursor) {
    // libsystemd goes by the number in files with the same sequence, and by time in others.
    let parts = cursor.description.split(separator: ";")
    if let number = parts.first(where: { $0.hasPrefix("i=") }).flatMap({ Int($0.dropFirst(2), radix: 16) }),
      let sequence = parts.first(where: { $0.hasPrefix("s=") }), journald.stored.last?.sequence == String(sequence)
    {
      let index = journald.stored.firstIndex { $0.number > number && $0.sequence == String(sequence) }
      position = .before(journald.first + (index ?? journald.stored.count))
      return
    }
    let index = journald.stored.firstIndex {
      $0.entry.realtime >= cursor.realtime && ($0.entry.boot != cursor.boot || $0.entry.monotonic > cursor.monotonic)
    }
    position = .before(journald.first + (index ?? journald.stored.count))
  }

  // MARK: The current entry

  private func current() throws(SystemError) -> JournalEntry {
    guard case .on(let number) = position, number >= journald.first, number < journald.end else {
      throw SystemError("read a journal entry", code: EADDRNOTAVAIL)
    }
    return journald.entry(number).entry
  }

  func cursor() throws(SystemError) -> String { try current().cursor }
  func boot() throws(SystemError) -> String { try current().boot }
  func realtime() throws(SystemError) -> UInt64 { try current().realtime }

  func read(into entry: inout JournalEntry, keeping wanted: FieldSet?) throws(SystemError) { entry = try current() }

  func values(of field: String) -> [String] {
    Set(journald.stored.map { value(of: field, $0) }).subtracting([""]).sorted()
  }

  // MARK: Following

  func fileDescriptor() -> CInt { descriptor }
  var isReliable: Bool { true }

  func process() -> Journal.Change {
    defer { (seenGeneration, seenEnd) = (journald.generation, journald.end) }
    if seenGeneration != journald.generation { return .invalidated }
    return seenEnd != journald.end ? .appended : .none
  }

  var hasPersistentFiles: Bool { true }
  func hasFiles() -> Bool { true }
}
