internal import CSystemd
internal import Glibc

/// Reports changes of directories: of their contents, or of whether they exist.
package final class DirectoryWatcher {
  private let loop: any Loop
  private let timers: any Timers
  private let changed: () -> Void
  private var inotify: OwnedDescriptor?
  private var source: EventSource?
  private var timer: Timer?
  /// For each watch: the names in its directory whose changes matter; nil if those of all names do.
  private var watches: [CInt: Set<String>?] = [:]

  /// The paths that were looked up, and the directories whose contents are watched; both without symbolic links.
  private var paths: Set<String> = []
  private var directories: Set<String> = []
  private var mountTable: OwnedDescriptor?
  private var mountSource: EventSource?
  /// The mounts that affect these paths and directories, as they were when watching began.
  private var mounts: Set<[UInt8]> = []
  /// Files that are being overwritten in place: they have neither their old nor their new content.
  private var unfinished: Set<UnfinishedFile> = []
  private struct UnfinishedFile: Hashable {
    var watch: CInt
    var name: String
  }
  /// Whether the kernel reports no changes, so that `changed` is called every second.
  private var isPolling = false

  /// How long to wait after a change for further ones before `changed` is called, in microseconds.
  private static let delay: UInt64 = 100_000
  /// How often to look for changes where inotify is not available or has no instance or watch left, in microseconds.
  private static let pollInterval: UInt64 = 1_000_000
  /// The largest part of the mount table that is read, in bytes: more than any real table has.
  private static let mountLimit = 16 << 20

  package init(loop: any Loop, timers: any Timers, changed: @escaping () -> Void) {
    self.loop = loop
    self.timers = timers
    self.changed = changed
  }

  /// Watches the files in directories and in their drop-in directories (`NAME.d`). This replaces everything that was watched
  /// before.
  ///
  /// Every directory and every symbolic link on the path to them is watched, too, and so are mounts on that path. Call this
  /// before reading the directories, so that no change is missed.
  ///
  /// - Parameters:
  ///   - links: paths of symbolic links in the directories, to files or directories; their targets are watched.
  ///   - files: other single files to watch.
  /// - Returns: an error if the kernel cannot report changes; then `changed` is called every second.
  package func watch(contentsOf directories: [String], links: Set<String>, files: [String] = []) -> SystemError? {
    var text: [UInt8] = []
    let error = begin { (inotify: borrowing OwnedDescriptor) throws(SystemError) in
      try watchMounts()
      text = (try? mountTable?.read(limit: DirectoryWatcher.mountLimit)) ?? []
      for path in directories {
        guard let directory = try addPath(path, to: inotify), try addDirectory(directory, to: inotify) else {
          continue
        }
        for name in (try? listNames(of: directory)) ?? [] where name.hasSuffix(".d") {
          if let inner = try addPath("\(directory)/\(name)", to: inotify) {
            _ = try addDirectory(inner, to: inotify)
          }
        }
      }
      for path in links.union(files) { try addPath(path, isFile: true, to: inotify) }
    }
    mounts = MountTable(text).concerning(paths: paths, directories: self.directories)
    isPolling = error != nil
    if isPolling { poll() }
    return error
  }

  /// Watches whether directories are created or removed. This replaces everything that was watched before.
  ///
  /// - Returns: an error if the kernel cannot report changes; then the directories are examined every second.
  package func watch(existenceOf directories: [String]) -> SystemError? {
    let error = begin { (inotify: borrowing OwnedDescriptor) throws(SystemError) in
      for directory in directories { try addPath(directory, to: inotify) }
    }
    if error != nil { poll(existenceOf: directories, inodes(of: directories)) }
    return error
  }

  private func inodes(of directories: [String]) -> [UInt] {
    directories.map { directory in
      var status = stat()
      return unsafe stat(directory, &status) == 0 ? UInt(status.st_ino) : 0
    }
  }

  private func poll(existenceOf directories: [String], _ before: [UInt]) {
    timer = timers.call(in: DirectoryWatcher.pollInterval) { [unowned self] in
      timer = nil
      let now = inodes(of: directories)
      if now != before { changed() } else { _ = watch(existenceOf: directories) }
    }
  }

  private func begin(_ add: (borrowing OwnedDescriptor) throws(SystemError) -> Void) -> SystemError? {
    source = nil
    inotify = nil
    watches = [:]
    unfinished = []
    paths = []
    directories = []
    do throws(SystemError) {
      let flags = CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK)
      let descriptor = OwnedDescriptor(try SystemError.checkErrno(inotify_init1(flags), "watch directories"))
      try add(descriptor)
      source = try loop.watch(descriptor.rawValue, for: .input) { [unowned self] _ in read() }
      inotify = consume descriptor
      return nil
    } catch {
      return error
    }
  }

  private func listNames(of directory: String) throws(SystemError) -> [String] {
    let descriptor = try OwnedDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
    return try listDirectory(descriptor.rawValue)
  }

  /// The inotify events of a directory whose contents are watched.
  private static let contentEvents = UInt32(
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF
      | IN_MOVE_SELF)

  /// Watches every directory in which the kernel looks up a part of a path, for changes of that name. This includes the
  /// directories through which symbolic links lead. If the path is that of a file, changes of its content are watched, too.
  ///
  /// - Returns: the path without symbolic links; nil if it leads to nothing.
  @discardableResult
  private func addPath(
    _ end: String, isFile: Bool = false, to inotify: borrowing OwnedDescriptor
  ) throws(SystemError) -> String? {
    var pending = Array(end.split(separator: "/").reversed())
    var path = ""
    // The kernel follows 40 links, too (path_resolution(7)).
    var links = 40
    while let part = pending.popLast() {
      if part == "." { continue }
      if part == ".." {
        path = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        continue
      }
      // The watch comes before the lookup, so that no change in between is missed.
      try addName(String(part), isFile: isFile && pending.isEmpty, in: path.isEmpty ? "/" : path, to: inotify)
      let next = "\(path)/\(part)"
      paths.insert(next)
      var status = stat()
      guard unsafe lstat(next, &status) == 0 else { return nil }
      if status.st_mode & S_IFMT == S_IFLNK {
        links -= 1
        guard links >= 0, let target = readLink(next) else { return nil }
        if target.hasPrefix("/") { path = "" }
        pending += target.split(separator: "/").reversed()
      } else {
        path = next
      }
    }
    return path.isEmpty ? "/" : path
  }

  private func addName(
    _ name: String, isFile: Bool, in directory: String, to inotify: borrowing OwnedDescriptor
  ) throws(SystemError) {
    let names = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB
    let changes = isFile ? IN_CLOSE_WRITE | IN_MODIFY : 0
    let watch = unsafe inotify_add_watch(inotify.rawValue, directory, UInt32(names | changes | IN_MASK_ADD))
    if watch >= 0 {
      if let known = watches[watch] {
        // A watch for all names stays one for all names.
        if let known { watches.updateValue(known.union([name]), forKey: watch) }
      } else {
        watches.updateValue([name], forKey: watch)
      }
    } else if ![ENOENT, ENOTDIR, EACCES].contains(errno) {
      throw SystemError("watch", path: directory)
    }
  }

  private func readLink(_ path: String) -> String? {
    var length = 0
    let target = unsafe [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
      length = unsafe buffer.withMemoryRebound(to: CChar.self) {
        guard let base = $0.baseAddress else { return -1 }
        return unsafe readlink(path, base, $0.count)
      }
      count = max(0, length)
    }
    return length < 0 ? nil : String(decoding: target, as: UTF8.self)
  }

  /// Watches the contents of a directory.
  ///
  /// - Returns: false if there is no such directory, or it cannot be read.
  private func addDirectory(_ directory: String, to inotify: borrowing OwnedDescriptor) throws(SystemError) -> Bool {
    let watch = unsafe inotify_add_watch(
      inotify.rawValue, directory, DirectoryWatcher.contentEvents | UInt32(IN_ONLYDIR))
    if watch >= 0 {
      watches.updateValue(nil, forKey: watch)
      directories.insert(directory)
      return true
    }
    if [ENOENT, ENOTDIR, EACCES].contains(errno) { return false }
    throw SystemError("watch", path: directory)
  }

  // MARK: Mounts

  /// Watches the mount table, because inotify does not report a file system that is mounted over a directory.
  private func watchMounts() throws(SystemError) {
    if mountSource != nil { return }
    let table = try OwnedDescriptor.open("/proc/self/mountinfo", O_RDONLY)
    mountSource = try loop.watch(table.rawValue, for: .exceptional) { [unowned self] _ in checkMounts() }
    mountTable = consume table
  }

  private func checkMounts() {
    let text = (try? mountTable?.read(limit: DirectoryWatcher.mountLimit)) ?? []
    if MountTable(text).concerning(paths: paths, directories: directories) != mounts { schedule() }
  }

  /// Whether something was mounted or unmounted since the last call.
  private func haveMountsChanged() -> Bool {
    guard let descriptor = mountTable?.rawValue else { return false }
    var query = pollfd(fd: descriptor, events: Int16(POLLPRI), revents: 0)
    return unsafe Glibc.poll(&query, 1, 0) > 0
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
        // In a directory on the path, only changes of the next name matter: a directory such as /run changes all the time.
        if let awaited = watches[watch], let awaited, !name.isEmpty, !awaited.contains(name) { continue }
        isRelevant = true
        let file = UnfinishedFile(watch: watch, name: name)
        if isWrite { unfinished.insert(file) } else { unfinished.remove(file) }
      }
    }
    if isRelevant { schedule() }
  }

  /// Whether there has been a change for which `changed` was not called yet. If so, it will not be called: the caller of this
  /// function reads the directories.
  ///
  /// Always true where the kernel does not report changes. A file that is being overwritten counts as changed once it is
  /// closed.
  package func takeChange() -> Bool {
    if isPolling { return true }
    read()
    if haveMountsChanged() { checkMounts() }
    guard timer != nil, unfinished.isEmpty else { return false }
    timer = nil
    return true
  }

  private func schedule() {
    guard timer == nil else { return }
    timer = timers.call(in: DirectoryWatcher.delay) { [unowned self] in
      timer = nil
      changed()
    }
  }

  private func poll() {
    timer = timers.call(in: DirectoryWatcher.pollInterval) { [unowned self] in
      timer = nil
      changed()
    }
  }
}
