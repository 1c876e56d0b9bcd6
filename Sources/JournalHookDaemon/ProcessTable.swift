import Glibc
import Systemd

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
    init?(stat text: String) {
      guard let name = text.firstIndex(of: "("), let end = text.lastIndex(of: ")"),
        let pid = ProcessID(text[..<name].prefix { $0 != " " })
      else { return nil }
      let fields = text[end...].dropFirst().split(separator: " ")
      guard fields.count > 19, let state = fields[0].utf8.first, let parent = ProcessID(fields[1]),
        let session = ProcessID(fields[3]), let started = UInt64(fields[19])
      else { return nil }
      self.pid = pid
      self.parent = parent
      self.session = session
      self.state = state
      self.started = started
    }

    /// The process of that number now.
    init?(pid: ProcessID) {
      guard let text = readText("/proc/\(pid)/stat"), let entry = Entry(stat: text) else { return nil }
      self = entry
    }

    /// A variable in the environment that it was executed with.
    func environmentValue(_ name: String) -> Substring? {
      readText("/proc/\(pid)/environ", limit: 4 << 20)?
        .split(separator: "\0").first { $0.hasPrefix(name + "=") }?.dropFirst(name.utf8.count + 1)
    }
  }

  let entries: [Entry]

  static func current() -> ProcessTable {
    guard let folder = try? OwnedDescriptor.open("/proc", O_RDONLY | O_DIRECTORY),
      let names = try? listDirectory(folder.rawValue)
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
