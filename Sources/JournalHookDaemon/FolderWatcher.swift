internal import CSystemd
internal import Glibc
package import Systemd

/// Says when folders have changed: what is in them, or whether they exist.
package final class FolderWatcher {
  private let loop: EventLoop
  private let changed: () -> Void
  private var inotify: OwnedDescriptor?
  private var source: EventSource?
  private var timer: EventSource?
  /// By watch: the names that count in a folder; nil where every name does.
  private var watches: [CInt: Set<String>?] = [:]

  /// Files that are being written in place: what is in them is neither what was nor what will be.
  private var unfinished: Set<UnfinishedFile> = []
  private struct UnfinishedFile: Hashable {
    var watch: CInt
    var name: String
  }
  /// Whether the kernel does not tell of changes, so that it is looked every second.
  private var isPolling = false

  /// Changes that come together are answered together, and within a second.
  private static let delay: UInt64 = 100_000
  /// How often to look where the kernel cannot tell: it has no inotify instance left to give.
  private static let pollInterval: UInt64 = 1_000_000

  package init(loop: EventLoop, changed: @escaping () -> Void) {
    self.loop = loop
    self.changed = changed
  }

  /// Watches hook directories instead of anything earlier: the files in them, their folders of drop-ins, and the folders that
  /// links lead to. The way to each directory is watched, too: whether it is there, and may be trusted. To be called before
  /// they are read, so that nothing is missed.
  ///
  /// - Parameter files: single files besides, whatever else is in their folders.
  /// - Returns: an error if they can only be looked at regularly.
  package func watch(contentsOf directories: [String], linked: Set<String>, files: [String] = []) -> SystemError? {
    let error = begin { (inotify: borrowing OwnedDescriptor) throws(SystemError) in
      for directory in directories {
        try addWay(to: directory, to: inotify)
        try addFolder(directory, to: inotify)
        for name in (try? listNames(of: directory)) ?? [] where name.hasSuffix(".d") {
          try addFolder("\(directory)/\(name)", to: inotify)
        }
      }
      for folder in linked { try addFolder(folder, to: inotify) }
      for file in files { try addWay(to: file, isFile: true, to: inotify) }
    }
    isPolling = error != nil
    if isPolling { poll() }
    return error
  }

  /// Watches whether folders come or go, instead of anything earlier.
  func watch(existenceOf folders: [String]) -> SystemError? {
    begin { (inotify: borrowing OwnedDescriptor) throws(SystemError) in
      for folder in folders { try addWay(to: folder, to: inotify) }
    }
  }

  private func begin(_ add: (borrowing OwnedDescriptor) throws(SystemError) -> Void) -> SystemError? {
    source = nil
    inotify = nil
    watches = [:]
    unfinished = []
    do throws(SystemError) {
      let flags = CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK)
      let descriptor = OwnedDescriptor(try SystemError.checkErrno(inotify_init1(flags), "watch folders"))
      try add(descriptor)
      source = try loop.watch(descriptor.rawValue, for: .input) { [unowned self] _ in read() }
      inotify = consume descriptor
      return nil
    } catch {
      return error
    }
  }

  private func listNames(of folder: String) throws(SystemError) -> [String] {
    let descriptor = try OwnedDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
    return try listDirectory(descriptor.rawValue)
  }

  private static let contents = UInt32(
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF
      | IN_MOVE_SELF)

  /// Watches every folder above a folder for the next part of the path; above a file also for changes of it.
  private func addWay(
    to end: String, isFile: Bool = false, to inotify: borrowing OwnedDescriptor
  ) throws(SystemError) {
    var path = ""
    let parts = end.split(separator: "/")
    for (index, part) in parts.enumerated() {
      let names = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB
      let changes = isFile && index == parts.count - 1 ? IN_CLOSE_WRITE | IN_MODIFY : 0
      let mask = UInt32(names | changes | IN_MASK_ADD)
      let watch = unsafe inotify_add_watch(inotify.rawValue, path.isEmpty ? "/" : path, mask)
      if watch >= 0 {
        if let known = watches[watch] {
          watches[watch] = known.map { $0.union([String(part)]) }
        } else {
          watches[watch] = .some([String(part)])
        }
      } else if ![ENOENT, ENOTDIR, EACCES].contains(errno) {
        throw SystemError("watch", path: path)
      }
      path += "/\(part)"
    }
  }

  /// Watches a folder; false when there is none.
  @discardableResult
  private func addFolder(_ folder: String, to inotify: borrowing OwnedDescriptor) throws(SystemError) -> Bool {
    let watch = unsafe inotify_add_watch(inotify.rawValue, folder, FolderWatcher.contents | UInt32(IN_ONLYDIR))
    if watch >= 0 {
      watches.updateValue(nil, forKey: watch)
      return true
    }
    if [ENOENT, ENOTDIR, EACCES].contains(errno) { return false }
    throw SystemError("watch", path: folder)
  }

  private func read() {
    guard let descriptor = inotify?.rawValue else { return }
    var buffer = [UInt8](repeating: 0, count: 4096)
    var isRelevant = false
    while true {
      let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
      guard count > 0 else { break }
      var rest = buffer[..<count]
      // struct inotify_event: wd, mask, cookie, len in 16 bytes, then the name, padded with NULs (inotify(7)).
      while rest.count >= 16 {
        func word(_ index: Int) -> UInt32 {
          let at = rest.startIndex + index * 4
          return rest[at..<at + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
        let watch = CInt(bitPattern: word(0))
        let isWrite = word(1) & UInt32(IN_MODIFY) != 0
        let length = Int(word(3))
        let name = String(decoding: rest.dropFirst(16).prefix(length).prefix { $0 != 0 }, as: UTF8.self)
        rest = rest.dropFirst(16 + length)
        // Of the folders above a directory only the next part of its path counts: /run is busy.
        if let awaited = watches[watch], let awaited, !name.isEmpty, !awaited.contains(name) { continue }
        isRelevant = true
        let file = UnfinishedFile(watch: watch, name: name)
        if isWrite { unfinished.insert(file) } else { unfinished.remove(file) }
      }
    }
    if isRelevant { schedule() }
  }

  /// Whether something has changed until now that `changed` was not called for yet. Whoever asks answers it.
  ///
  /// Where the kernel does not tell, everything may have. A file that is being overwritten counts once it is closed.
  package func takeChange() -> Bool {
    if isPolling { return true }
    read()
    guard timer != nil, unfinished.isEmpty else { return false }
    timer = nil
    return true
  }

  private func schedule() {
    guard timer == nil else { return }
    timer = try? loop.schedule(at: loop.now() + FolderWatcher.delay) { [unowned self] in
      timer = nil
      changed()
    }
  }

  private func poll() {
    timer = try? loop.schedule(at: loop.now() + FolderWatcher.pollInterval) { [unowned self] in
      timer = nil
      changed()
    }
  }
}
