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

    /// Its size with all changes.
    var size: Int {
      changes.reduce(durable.count) { size, change in
        switch change {
        case .write(let offset, let bytes): max(size, offset + bytes.count)
        case .truncate(let size): size
        }
      }
    }
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
      noteDurable()
    case .create(let file, let name):
      files[file] = File()
      entries[name, default: [nil]].append(file)
    case .delete(_, let name): entries[name, default: [nil]].append(nil)
    case .syncDirectory:
      for (name, history) in entries { entries[name] = [history[history.count - 1]] }
      let named = Set(entries.values.compactMap { $0[0] })
      files = files.filter { named.contains($0.key) }
      noteDurable()
    case .mark(let value): mark = value
    }
  }

  /// Creates an empty file that is not synced, as `noteComplete` does.
  mutating func touch(_ name: String) {
    let file = Int32.max - Int32(entries.count)
    apply(.create(file: file, name: name))
  }

  private mutating func noteDurable() {
    guard let log = entries.first(where: { $0.key.hasSuffix("-wal") })?.value, log.count == 1, let file = log[0],
      files[file]?.changes.isEmpty == true, entries.first(where: { $0.key.hasSuffix(".db") })?.value.count == 1
    else { return }
    durableMark = mark
  }

  private static func apply(_ change: Change, to bytes: inout [UInt8]) {
    switch change {
    case .write(let offset, let new): put(new, new.indices, at: offset, into: &bytes)
    case .truncate(let size):
      if bytes.count > size { bytes.removeLast(bytes.count - size) }
      extend(&bytes, to: size)
    }
  }

  /// Writes a part of some new bytes, of which the first would be at `offset`.
  private static func put(_ new: [UInt8], _ part: Range<Int>, at offset: Int, into bytes: inout [UInt8]) {
    extend(&bytes, to: offset + part.upperBound)
    // Bytes that are copied one by one take most of the time of a debug build.
    new.withUnsafeBytes { new in
      bytes.withUnsafeMutableBytes { bytes in
        let (from, to) = (UnsafeRawBufferPointer(rebasing: new[part]), offset + part.lowerBound)
        UnsafeMutableRawBufferPointer(rebasing: bytes[to..<to + part.count]).copyMemory(from: from)
      }
    }
  }

  private static func extend(_ bytes: inout [UInt8], to size: Int) {
    if bytes.count < size { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
  }

  /// How many things are not certain.
  var uncertain: Int {
    files.values.reduce(0) { $0 + $1.changes.count } + entries.values.reduce(0) { $0 + $1.count - 1 }
  }

  // MARK: States

  /// The files of a disk, by their names.
  typealias State = [String: [UInt8]]

  /// The state in which `keeps` says of each change what is left of it, by the file and the index of the change: which of its
  /// bytes are on the disk; `entry` which of its files a name has; and `keepsSize` which files have their size without what was
  /// written there.
  func state(
    entry: (String, [Int32?]) -> Int32?, keepsSize: (Int32) -> Bool = { _ in false },
    keeps: (Int32, Int) -> [Range<Int>]
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
          for range in kept { Platter.put(new, range, at: offset, into: &bytes) }
        }
      }
      if keepsSize(number) { Platter.extend(&bytes, to: file.size) }
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
