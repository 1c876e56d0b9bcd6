import CSystemd
import Glibc
import Systemd
import Testing

@testable import Systemd

/// The native protocol of journald, also with a receiver that does not read.
@Suite struct JournalWriterTests {
  /// A socket like that of journald. It reads only when `next()` is called.
  private final class Receiver {
    let directory: String
    let path: String
    private(set) var descriptor: CInt

    init() {
      var template = Array("/tmp/journal-writer.XXXXXX".utf8CString)
      directory = mkdtemp(&template).map { String(cString: $0) } ?? ""
      path = directory + "/socket"
      descriptor = -1
      open()
    }

    deinit {
      close()
      rmdir(directory)
    }

    func open() {
      descriptor = socket(
        AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      let size = socklen_t(MemoryLayout<sockaddr_un>.size)
      let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
      }
      #expect(result == 0)
    }

    func close() {
      Glibc.close(descriptor)
      unlink(path)
    }

    /// The next datagram, if there is one.
    func next() -> [UInt8]? {
      var buffer = [UInt8](repeating: 0, count: 1 << 20)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      return count < 0 ? nil : Array(buffer[..<count])
    }

    func nextText() -> String? { next().map { String(decoding: $0, as: UTF8.self) } }
  }

  @Test func encoding() {
    var fields = JournalFields([(name: "MESSAGE", value: "héllo=1"), (name: "EMPTY", value: "")])
    #expect(fields.bytes == Array("MESSAGE=héllo=1\nEMPTY=\n".utf8))
    fields = JournalFields([(name: "A", value: "x\ny")])
    #expect(fields.bytes == Array("A\n".utf8) + [3, 0, 0, 0, 0, 0, 0, 0] + Array("x\ny\n".utf8))
    fields.append("B", [0xFF, 0, 0x3D])
    #expect(fields.bytes.suffix(6) == [0x42, 0x3D, 0xFF, 0, 0x3D, 0x0A])
    var long = JournalFields()
    long.append("C", String(repeating: "\n", count: 300))
    #expect(long.bytes.prefix(10) == [0x43, 0x0A, 44, 1, 0, 0, 0, 0, 0, 0])
  }

  @Test func valuesThatAreTooLongAreCut() {
    let receiver = Receiver()
    let writer = JournalWriter(path: receiver.path)
    writer.send(String(repeating: "x", count: 1_000_000), priority: .info)
    let text = receiver.nextText() ?? ""
    #expect(text.hasSuffix("x [cut, 1000000 bytes]\nPRIORITY=6\n"))
  }

  @Test func sending() {
    let receiver = Receiver()
    let writer = JournalWriter(path: receiver.path)
    writer.send("hello", priority: .warning, fields: [(name: "X", value: "1")])
    #expect(receiver.nextText() == "MESSAGE=hello\nPRIORITY=4\nX=1\n")
  }

  @Test func entriesAreLostWithoutASocket() {
    let receiver = Receiver()
    receiver.close()
    let writer = JournalWriter(path: receiver.path)
    var lost = 0
    writer.onLoss = { lost += $0 }
    writer.send("lost", priority: .info)
    receiver.open()
    writer.send("found", priority: .info)
    #expect(receiver.nextText() == "MESSAGE=found\nPRIORITY=6\n")
    #expect(lost == 1)
    // Another socket with the same path.
    receiver.close()
    receiver.open()
    writer.send("again", priority: .info)
    #expect(receiver.nextText() == "MESSAGE=again\nPRIORITY=6\n")
    #expect(lost == 1)
  }

  /// Entries that the receiver does not accept are queued in order, up to a limit. The loop sends them when the receiver reads
  /// again, and then reports the number of lost entries.
  @Test func aReceiverThatDoesNotRead() throws {
    let receiver = Receiver()
    let loop = try EventLoop()
    let writer = JournalWriter(path: receiver.path)
    writer.attach(to: loop)
    var lost = 0
    var hasRoom = false
    writer.onLoss = { lost += $0 }
    writer.onRoom = { hasRoom = true }
    for number in 0..<6000 {
      writer.send("\(number)", priority: .info)
      if number == 1000 { #expect(!writer.isBackedUp) }
    }
    #expect(writer.isBackedUp)
    #expect(!hasRoom)
    // `flush(within:)` returns in time although nobody reads.
    let before = Clock.monotonic()
    writer.flush(within: 50_000)
    #expect((50_000..<1_000_000).contains(Clock.monotonic() - before))

    var received: [String] = []
    for _ in 0..<20_000 where !writer.isEmpty || received.isEmpty {
      while let text = receiver.nextText() { received.append(text) }
      try loop.runOnce(timeout: 100_000)
    }
    while let text = receiver.nextText() { received.append(text) }
    #expect(received == (0..<received.count).map { "MESSAGE=\($0)\nPRIORITY=6\n" })
    #expect(received.count >= 4096)
    #expect(received.count + lost == 6000)
    #expect(hasRoom)
    #expect(!writer.isBackedUp)
    writer.send("on", priority: .info)
    #expect(receiver.nextText() == "MESSAGE=on\nPRIORITY=6\n")
  }

  /// Without a loop, sending the next entry also sends the queue.
  @Test func withoutALoop() {
    let receiver = Receiver()
    let writer = JournalWriter(path: receiver.path)
    for number in 0..<1000 { writer.send("\(number)", priority: .info) }
    #expect(!writer.isEmpty)
    #expect(!writer.isBackedUp)
    var received = 0
    for _ in 0..<2000 where received < 1000 {
      while receiver.next() != nil { received += 1 }
      writer.flush(within: 0)
    }
    #expect(received == 1000)
    #expect(writer.isEmpty)
  }
}
