import Glibc
internal import Systemd

/// All processes at about one moment, from /proc.
///
/// Not the "children" files: the kernel does not always have them, and they say nothing of sessions and orphans.
struct ProcessTable {
  struct Entry: Hashable {
    let pid: ProcessID
    let parent: ProcessID
    let session: ProcessID
    let state: UInt8
    /// In ticks since the boot. With the pid it names a process for good.
    let started: UInt64

    var isZombie: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }

    /// Takes the text of /proc/PID/stat: "12 (any thing) S 1 12 12 …". The name may itself contain ") ".
    init?(stat text: some Collection<UInt8>) {
      let text = Array(text)
      guard let end = text.lastIndex(of: UInt8(ascii: ")")), let pid = Self.number(text[...]), end + 2 < text.count
      else { return nil }
      // Byte by byte, for it is read of every process again and again while runs are being ended.
      var fields: InlineArray<20, UInt64> = .init(repeating: 0)
      var rest = text[(end + 2)...]
      for index in 0..<20 {
        guard let value = index == 0 ? UInt64(rest.first ?? 0) : Self.number(rest) else { return nil }
        fields[index] = value
        rest = rest.drop { $0 != UInt8(ascii: " ") }.dropFirst()
      }
      self.pid = ProcessID(truncatingIfNeeded: pid)
      state = UInt8(truncatingIfNeeded: fields[0])
      parent = ProcessID(truncatingIfNeeded: fields[1])
      session = ProcessID(truncatingIfNeeded: fields[3])
      started = fields[19]
    }

    /// The number that a text begins with, a minus passed over; nil where there is none.
    private static func number(_ text: ArraySlice<UInt8>) -> UInt64? {
      var value: UInt64?
      for byte in text.first == UInt8(ascii: "-") ? text.dropFirst() : text {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { break }
        value = (value ?? 0) &* 10 &+ UInt64(byte - UInt8(ascii: "0"))
      }
      return value
    }

    /// The process of that number now.
    init?(pid: ProcessID) {
      guard let file = try? OwnedDescriptor.open("/proc/\(pid)/stat", O_RDONLY) else { return nil }
      // In one call, as the kernel makes the text anew for each; what counts is at its beginning.
      let text = unsafe [UInt8](unsafeUninitializedCapacity: 1024) { buffer, count in
        count = max(0, unsafe pread(file.rawValue, buffer.baseAddress, 1024, 0))
      }
      self.init(stat: text)
    }

    /// What the process is called now (PR_SET_NAME); nil if it has ended.
    var name: String? { readText("/proc/\(pid)/comm").map { String($0.prefix { $0 != "\n" }) } }

    /// A variable in the environment that it was executed with.
    func environmentValue(_ name: String) -> Substring? {
      readText("/proc/\(pid)/environ", limit: 4 << 20)?
        .split(separator: "\0").first { $0.hasPrefix(name + "=") }?.dropFirst(name.utf8.count + 1)
    }
  }

  let entries: [Entry]

  static func current() -> ProcessTable {
    guard let directory = try? OwnedDescriptor.open("/proc", O_RDONLY | O_DIRECTORY),
      let names = try? listDirectory(directory.rawValue)
    else { return ProcessTable(entries: []) }
    return ProcessTable(entries: names.compactMap { ProcessID($0) }.compactMap(Entry.init(pid:)))
  }

  /// The given processes and all that descends from them.
  func trees(of roots: [Entry]) -> [Entry] {
    var children: [ProcessID: [Entry]] = [:]
    for entry in entries { children[entry.parent, default: []].append(entry) }
    var found = Set(roots)
    var pending = roots
    while let next = pending.popLast() {
      for child in children[next.pid] ?? [] where found.insert(child).inserted { pending.append(child) }
    }
    return Array(found)
  }
}
