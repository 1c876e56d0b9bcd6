internal import Glibc

/// Writes structured entries to the journal through journald's native socket, and never waits for journald.
///
/// Entries that journald does not accept at once are queued and sent when it reads again. Entries that do not fit into the
/// queue are lost; `onLoss` then reports their number. `sd_journal_sendv` would wait instead, for as long as journald is
/// stopped.
public final class JournalWriter {
  /// syslog(3)'s priorities.
  public enum Priority: Int, Sendable {
    case emergency, alert, critical, error, warning, notice, info, debug
  }

  /// Where journald listens.
  public static let systemSocket = "/run/systemd/journal/socket"

  /// The largest number of queued entries.
  private static let queueLimit = 4096
  /// The largest size of all queued entries together, in bytes.
  private static let queueByteLimit = 2 << 20
  /// How long one turn of the event loop sends queued entries, in microseconds.
  private static let turnLength: UInt64 = 2000
  /// The size of the send buffer in bytes; sd-journal requests the same.
  private static let sendBuffer: CInt = 8 << 20

  private let path: String
  /// -1 if no socket could be created.
  private let descriptor: CInt
  private var isConnected = false
  private weak var loop: EventLoop?
  private var writable: EventSource?

  /// The entries that journald has not accepted yet are those from index `head` on.
  private var queue: [[UInt8]] = []
  private var head = 0
  private var queuedBytes = 0
  private var lost = 0
  private var isAwaited = false

  /// Called when journald accepts entries again, with the number of entries that were lost in the meantime.
  public var onLoss: ((Int) -> Void)?
  /// Called when the queue is at most a quarter full, after `isBackedUp` was true.
  public var onRoom: (() -> Void)?

  /// Makes a writer, which connects when the first entry is sent. If there is no socket, entries are lost.
  public init(path: String = JournalWriter.systemSocket) {
    self.path = path
    let kind = SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    descriptor = socket(AF_UNIX, CInt(kind), 0)
    var size = JournalWriter.sendBuffer
    let length = socklen_t(MemoryLayout<CInt>.size)
    // SO_SNDBUFFORCE needs CAP_NET_ADMIN. SO_SNDBUF is limited by net.core.wmem_max.
    if unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &size, length) != 0 {
      _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, length)
    }
  }

  deinit {
    // The event source must go before its descriptor is closed.
    writable = nil
    if descriptor >= 0 { close(descriptor) }
  }

  /// From now on the loop sends queued entries as soon as journald accepts them. Without a loop, the next `send` sends them.
  public func attach(to loop: EventLoop) {
    self.loop = loop
    if !isEmpty { waitForRoom() }
  }

  /// Whether nothing is queued.
  public var isEmpty: Bool { head == queue.count }

  /// Whether the queue is more than half full. A caller that can wait should do so until `onRoom` is called.
  ///
  /// Always false without a loop, because nothing would then call `onRoom`.
  public var isBackedUp: Bool {
    guard isFilled(byMoreThanOneIn: 2), writable != nil else { return false }
    isAwaited = true
    return true
  }

  /// Whether more than one half (2), one quarter (4), … of the queue is in use.
  private func isFilled(byMoreThanOneIn parts: Int) -> Bool {
    queuedBytes > JournalWriter.queueByteLimit / parts || queue.count - head > JournalWriter.queueLimit / parts
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

  /// Sends all queued entries, and waits for journald for at most `time` microseconds.
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
    // The newest entry is dropped, not the oldest: the queued ones show how the queue filled up.
    let isRoom = queue.count - head < JournalWriter.queueLimit
    guard isRoom, queuedBytes + entry.count <= JournalWriter.queueByteLimit else {
      lost += 1
      return
    }
    queue.append(entry)
    queuedBytes += entry.count
  }

  private func waitForRoom() {
    guard writable == nil, let loop else { return }
    // A connected datagram socket is writable only if the receiver's queue has room.
    writable = try? loop.watch(descriptor, for: .output) { [unowned self] _ in flush() }
  }

  /// Sends queued entries until journald accepts no more or the turn is over.
  private func flush() {
    let end = Clock.monotonic() + JournalWriter.turnLength
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
    } else if head > JournalWriter.queueLimit {
      queue.removeFirst(head)
      head = 0
    }
    if isAwaited, !isFilled(byMoreThanOneIn: 4) {
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
    // The second attempt is for the case that journald has replaced its socket.
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
