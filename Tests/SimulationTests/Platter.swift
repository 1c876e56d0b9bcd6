/// What is on a disk for certain, and what may be there: built from the record of a disk, event by event.
///
/// This shares no code with `simdisk_power_cut`.
struct Platter {
  /// A change of a file that was not synced.
  enum Change {
    case write(offset: Int, bytes: [UInt8])
    case truncate(size: Int)
  }

  struct File {
    var durable: [UInt8] = []
    var changes: [Change] = []
  }

  private(set) var files: [Int32: File] = [:]
  /// The files that a name has had since its directory was synced, the one that is there for certain first; nil: none.
  private(set) var entries: [String: [Int32?]] = [:]
  /// The last mark.
  private(set) var mark: Int?
  /// The last mark before a sync of the log: what was done until then is on the disk for certain.
  private(set) var durableMark: Int?

  /// A file of a loaded disk.
  mutating func load(_ name: String, _ bytes: [UInt8], file: Int32) {
    files[file] = File(durable: bytes)
    entries[name] = [file]
  }

  mutating func apply(_ event: DiskEvent) {
    switch event {
    case .write(let file, let offset, let bytes):
      files[file]?.changes.append(.write(offset: offset, bytes: bytes))
    case .truncate(let file, let size): files[file]?.changes.append(.truncate(size: size))
    case .sync(let file):
      guard var synced = files[file] else { return }
      for change in synced.changes { Platter.apply(change, to: &synced.durable) }
      synced.changes = []
      files[file] = synced
      noteDurable(file)
    case .create(let file, let name):
      files[file] = File()
      entries[name, default: [nil]].append(file)
    case .delete(_, let name): entries[name, default: [nil]].append(nil)
    case .syncDirectory:
      for (name, history) in entries { entries[name] = [history[history.count - 1]] }
      let named = Set(entries.values.compactMap { $0[0] })
      files = files.filter { named.contains($0.key) }
    case .mark(let value): mark = value
    }
  }

  /// Creates an empty file that is not synced, as `noteComplete` does.
  mutating func touch(_ name: String) {
    let file = Int32.max - Int32(entries.count)
    apply(.create(file: file, name: name))
  }

  private mutating func noteDurable(_ file: Int32) {
    guard let log = entries.first(where: { $0.key.hasSuffix("-wal") }), log.value == [file],
      let database = entries.first(where: { $0.key.hasSuffix(".db") }), database.value.count == 1
    else { return }
    durableMark = mark
  }

  static func apply(_ change: Change, to bytes: inout [UInt8]) {
    switch change {
    case .write(let offset, let new):
      if bytes.count < offset + new.count { bytes += [UInt8](repeating: 0, count: offset + new.count - bytes.count) }
      bytes.replaceSubrange(offset..<offset + new.count, with: new)
    case .truncate(let size):
      if bytes.count > size { bytes.removeLast(bytes.count - size) }
      if bytes.count < size { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
    }
  }

  /// How many things are not certain.
  var uncertain: Int {
    files.values.reduce(0) { $0 + $1.changes.count } + entries.values.reduce(0) { $0 + $1.count - 1 }
  }

  // MARK: States

  /// The files of a disk, by their names.
  typealias State = [String: [UInt8]]

  /// The state in which `keeps` says of each change what is left of it, by the file and the index of the change: which of its
  /// bytes are on the disk; and `entry` which of its files a name has.
  func state(
    entry: (String, [Int32?]) -> Int32?, keeps: (Int32, Int) -> [Range<Int>]
  ) -> State {
    var state: State = [:]
    for (name, history) in entries.sorted(by: { $0.key < $1.key }) {
      guard let number = entry(name, history), let file = files[number] else { continue }
      var bytes = file.durable
      for (index, change) in file.changes.enumerated() {
        let kept = keeps(number, index)
        switch change {
        case .truncate: if !kept.isEmpty { Platter.apply(change, to: &bytes) }
        case .write(let offset, let new):
          for range in kept {
            Platter.apply(.write(offset: offset + range.lowerBound, bytes: Array(new[range])), to: &bytes)
          }
        }
      }
      state[name] = bytes
    }
    return state
  }

  /// All changes, as places in `files`.
  var places: [(file: Int32, index: Int)] {
    files.keys.sorted().flatMap { file in (files[file]?.changes.indices ?? 0..<0).map { (file, $0) } }
  }

  /// The whole of a change; a truncation counts as one byte.
  func whole(_ file: Int32, _ index: Int) -> Range<Int> {
    if case .write(_, let bytes)? = files[file]?.changes[index] { return 0..<bytes.count }
    return 0..<1
  }

  /// The parts of a change that are written together: sectors of 512 bytes.
  func sectors(_ file: Int32, _ index: Int) -> [Range<Int>] {
    guard case .write(let offset, let bytes)? = files[file]?.changes[index] else { return [0..<1] }
    var sectors: [Range<Int>] = []
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + 512 - (offset + start) % 512)
      sectors.append(start..<end)
      start = end
    }
    return sectors
  }
}
