internal import CSystemd
internal import Glibc
internal import Systemd

/// Says when hook files have changed.
///
/// Watched are the directories, the folders of drop-ins in them and those that links lead to. Of a directory that does not
/// exist, the nearest folder above it that does is watched for the next part of its path.
final class HookWatcher {
  private let loop: EventLoop
  private let changed: () -> Void
  private var inotify: OwnedDescriptor?
  private var source: EventSource?
  private var timer: EventSource?
  /// By watch: the name that counts in a folder above a directory; nil where every name does.
  private var watches: [CInt: String?] = [:]

  /// Changes that come together are answered together, and within a second.
  private static let delay: UInt64 = 100_000
  /// How often to look where the kernel cannot tell: it has no inotify instance left to give.
  private static let pollInterval: UInt64 = 1_000_000

  init(loop: EventLoop, changed: @escaping () -> Void) {
    self.loop = loop
    self.changed = changed
  }

  /// Watches these directories instead of earlier ones. To be called before they are read, so that nothing is missed.
  ///
  /// - Returns: an error if they can only be looked at regularly.
  func watch(_ directories: [String], linked: Set<String>) -> SystemError? {
    source = nil
    inotify = nil
    watches = [:]
    do throws(SystemError) {
      let descriptor = OwnedDescriptor(
        try SystemError.checkErrno(inotify_init1(CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK)), "watch the hook directories"))
      for directory in directories {
        try add(directory, to: descriptor)
        for name in (try? listNames(of: directory)) ?? [] where name.hasSuffix(".d") {
          try addFolder("\(directory)/\(name)", to: descriptor)
        }
      }
      for folder in linked { try addFolder(folder, to: descriptor) }
      source = try loop.watch(descriptor.rawValue, for: .input) { [unowned self] _ in read() }
      inotify = consume descriptor
      return nil
    } catch {
      poll()
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

  /// Watches a directory, or the way to it.
  private func add(_ directory: String, to inotify: borrowing OwnedDescriptor) throws(SystemError) {
    if try addFolder(directory, to: inotify) { return }
    var missing = directory
    while let slash = missing.lastIndex(of: "/") {
      let name = String(missing[missing.index(after: slash)...])
      missing = String(missing[..<slash])
      let folder = missing.isEmpty ? "/" : missing
      let mask = UInt32(IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_MASK_ADD)
      let watch = unsafe inotify_add_watch(inotify.rawValue, folder, mask)
      if watch >= 0 {
        if watches[watch] == nil { watches[watch] = .some(name) }
        return
      }
      if errno != ENOENT, errno != ENOTDIR, errno != EACCES { throw SystemError("watch", path: folder) }
      if missing.isEmpty { return }
    }
  }

  /// Watches a folder; false when there is none.
  @discardableResult
  private func addFolder(_ folder: String, to inotify: borrowing OwnedDescriptor) throws(SystemError) -> Bool {
    let watch = unsafe inotify_add_watch(inotify.rawValue, folder, HookWatcher.contents | UInt32(IN_ONLYDIR))
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
        let length = Int(word(3))
        let name = String(decoding: rest.dropFirst(16).prefix(length).prefix { $0 != 0 }, as: UTF8.self)
        rest = rest.dropFirst(16 + length)
        // Of the folders above a directory only the next part of its path counts: /run is busy.
        if let awaited = watches[watch], let awaited, !name.isEmpty, name != awaited { continue }
        isRelevant = true
      }
    }
    if isRelevant { schedule() }
  }

  private func schedule() {
    guard timer == nil else { return }
    timer = try? loop.schedule(at: loop.now() + HookWatcher.delay) { [unowned self] in
      timer = nil
      changed()
    }
  }

  private func poll() {
    timer = try? loop.schedule(at: loop.now() + HookWatcher.pollInterval) { [unowned self] in
      timer = nil
      changed()
    }
  }
}
