internal import Glibc

/// Writes structured entries to the journal through journald's native socket, and never waits for journald.
///
/// What journald does not take at once is queued, up to a bound, and sent when it reads again; what does not fit is counted
/// and told then. `sd_journal_sendv` would wait instead, for as long as journald is stopped.
public final class JournalWriter {
  /// syslog(3)'s priorities.
  public enum Priority: Int, Sendable {
    case emergency, alert, critical, error, warning, notice, info, debug
  }

  /// Where journald listens.
  public static let systemSocket = "/run/systemd/journal/socket"

  private static let longestQueue = 4096
  private static let largestQueue = 2 << 20
  /// How long one turn sends what is queued, in microseconds.
  private static let turn: UInt64 = 2000
  /// What sd-journal asks for, too.
  private static let sendBuffer: CInt = 8 << 20

  private let path: String
  /// -1 if there could be none.
  private let descriptor: CInt
  private var isConnected = false
  private weak var loop: EventLoop?
  private var writable: EventSource?

  /// What journald has not taken yet: from `head` on.
  private var queue: [[UInt8]] = []
  private var head = 0
  private var queuedBytes = 0
  private var lost = 0
  private var isAwaited = false

  /// Called when journald takes entries again, with the number of those that were lost before.
  public var onLoss: ((Int) -> Void)?
  /// Called when there is room again, after somebody was told by `isBackedUp` that there is little.
  public var onRoom: (() -> Void)?

  /// Makes a writer, which connects itself when it is needed. Where there is no socket, entries are lost.
  public init(path: String = JournalWriter.systemSocket) {
    self.path = path
    let kind = SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    descriptor = socket(AF_UNIX, CInt(kind), 0)
    var size = JournalWriter.sendBuffer
    let length = socklen_t(MemoryLayout<CInt>.size)
    // The first needs a capability; the second is bounded by net.core.wmem_max.
    if unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &size, length) != 0 {
      _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, length)
    }
  }

  deinit {
    // Before its descriptor is closed.
    writable = nil
    if descriptor >= 0 { close(descriptor) }
  }

  /// From now on the loop sends what is queued as soon as journald takes it; without a loop the next `send` does.
  public func attach(to loop: EventLoop) {
    self.loop = loop
    if !isEmpty { waitForRoom() }
  }

  /// Whether nothing is queued.
  public var isEmpty: Bool { head == queue.count }

  /// Whether the queue is more than half full; who can wait should, until `onRoom` is called.
  ///
  /// Never without a loop, since nobody would end the waiting.
  public var isBackedUp: Bool {
    guard isOver(2), writable != nil else { return false }
    isAwaited = true
    return true
  }

  /// Whether the queue is full by more than one of so many parts.
  private func isOver(_ parts: Int) -> Bool {
    queuedBytes > JournalWriter.largestQueue / parts || queue.count - head > JournalWriter.longestQueue / parts
  }

  /// Sends one entry.
  public func send(_ fields: JournalFields) {
    if !isEmpty, writable == nil { flush() }
    if !isEmpty {
      enqueue(fields.bytes)
      return waitForRoom()
    }
    switch transmit(fields.bytes) {
    case .sent: reportLoss()
    case .lost: lost += 1
    case .full:
      enqueue(fields.bytes)
      waitForRoom()
    }
  }

  /// Sends a message with a priority and further fields.
  public func send(_ message: String, priority: Priority, fields: [(name: String, value: String)] = []) {
    let text = [(name: "MESSAGE", value: message), (name: "PRIORITY", value: String(priority.rawValue))]
    send(JournalFields(text + fields))
  }

  /// Sends what is queued, and waits for journald up to so many microseconds.
  public func flush(within time: UInt64) {
    let end = Clock.monotonic() + time
    while true {
      flush()
      let now = Clock.monotonic()
      guard !isEmpty, now < end else { return }
      var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      _ = unsafe poll(&wanted, 1, CInt((end - now + 999) / 1000))
    }
  }

  // MARK: The queue

  private func enqueue(_ entry: [UInt8]) {
    // The newest is given up: what is queued explains how it came to this.
    let isRoom = queue.count - head < JournalWriter.longestQueue
    guard isRoom, queuedBytes + entry.count <= JournalWriter.largestQueue else {
      lost += 1
      return
    }
    queue.append(entry)
    queuedBytes += entry.count
  }

  private func waitForRoom() {
    guard writable == nil, let loop else { return }
    // Readiness of a connected datagram socket is that of the receiver's queue, too.
    writable = try? loop.watch(descriptor, for: .output) { [unowned self] _ in flush() }
  }

  /// Sends what is queued, as long as journald takes it and the turn lasts.
  private func flush() {
    let end = Clock.monotonic() + JournalWriter.turn
    var isSent = false
    sending: while !isEmpty, Clock.monotonic() < end {
      switch transmit(queue[head]) {
      case .sent: isSent = true
      case .lost: lost += 1
      case .full: break sending
      }
      queuedBytes -= queue[head].count
      queue[head] = []
      head += 1
    }
    if isEmpty {
      queue = []
      head = 0
      writable = nil
      if isSent { reportLoss() }
    } else if head > JournalWriter.longestQueue {
      queue.removeFirst(head)
      head = 0
    }
    if isAwaited, !isOver(4) {
      isAwaited = false
      onRoom?()
    }
  }

  private func reportLoss() {
    guard lost > 0 else { return }
    let count = lost
    lost = 0
    onLoss?(count)
  }

  // MARK: The socket

  private enum Outcome { case sent, full, lost }

  private func transmit(_ entry: [UInt8]) -> Outcome {
    // A second time when journald's socket was made anew meanwhile.
    for _ in 0..<2 {
      if !isConnected { isConnected = connect() }
      guard isConnected else { return .lost }
      var count = 0
      repeat {
        count = unsafe Glibc.send(descriptor, entry, entry.count, CInt(MSG_NOSIGNAL))
      } while count < 0 && errno == EINTR
      if count >= 0 { return .sent }
      switch errno {
      case EAGAIN: return .full
      case ECONNREFUSED, ECONNRESET, ENOTCONN, EPIPE: isConnected = false
      default: return .lost
      }
    }
    return .lost
  }

  private func connect() -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { room in
      guard bytes.count < room.count else { return false }
      unsafe room.copyBytes(from: bytes)
      return true
    }
    guard fits else { return false }
    return unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }
}
