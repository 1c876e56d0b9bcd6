import Glibc
internal import Systemd

/// All processes at about one moment, from /proc/PID/stat.
///
/// The files /proc/PID/task/TID/children would not do: they exist only with CONFIG_PROC_CHILDREN, and show neither sessions
/// nor orphans.
struct ProcessTable {
  struct Entry: Hashable {
    let pid: ProcessID
    let parent: ProcessID
    let session: ProcessID
    let state: UInt8
    /// The start time in clock ticks since boot. Together with the pid it identifies a process even if the pid is used again.
    let started: UInt64

    var isZombie: Bool { state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") }

    /// Reads the text of /proc/PID/stat: "12 (any thing) S 1 12 12 …". The name may itself contain ") ".
    init?(stat text: some Collection<UInt8>) {
      let text = Array(text)
      guard let end = text.lastIndex(of: UInt8(ascii: ")")), let pid = Self.number(text[...]), end + 2 < text.count
      else { return nil }
      // The text is read byte by byte, because while runs are being ended this is done for every process again and again.
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

    /// The number at the start of a text, without its sign; nil if there is none.
    private static func number(_ text: ArraySlice<UInt8>) -> UInt64? {
      var value: UInt64?
      for byte in text.first == UInt8(ascii: "-") ? text.dropFirst() : text {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { break }
        value = (value ?? 0) &* 10 &+ UInt64(byte - UInt8(ascii: "0"))
      }
      return value
    }

    /// The process that has this pid now; nil if there is none.
    init?(pid: ProcessID) {
      guard let file = try? OwnedDescriptor.open("/proc/\(pid)/stat", O_RDONLY) else { return nil }
      // One call, because each call makes the kernel generate the text again. The fields that matter are in its first 1024 bytes.
      let text = unsafe [UInt8](unsafeUninitializedCapacity: 1024) { buffer, count in
        count = max(0, unsafe pread(file.rawValue, buffer.baseAddress, 1024, 0))
      }
      self.init(stat: text)
    }

    /// The current name of the process (PR_SET_NAME); nil if it has ended.
    var name: String? { readText("/proc/\(pid)/comm").map { String($0.prefix { $0 != "\n" }) } }

    /// A variable in the environment with which the process executed its program.
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

  /// The given processes and all their descendants.
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
