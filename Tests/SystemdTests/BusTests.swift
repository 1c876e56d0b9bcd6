import CSystemd
import Glibc
import TestSupport
import Testing

@testable import Systemd

/// A stand-in for the service manager, which answers on a private socket in a thread of its own.
private final class FakeManager: @unchecked Sendable {
  private let listener: CInt
  private var bus: OpaquePointer?
  private var thread = pthread_t()

  /// Listens at a path, for a single connection.
  init(path: String) throws {
    listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try SystemError.checkErrno(result, "bind")
    try SystemError.checkErrno(listen(listener, 8), "listen")
    let context = Unmanaged.passUnretained(self).toOpaque()
    pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<FakeManager>.fromOpaque(context).takeUnretainedValue().serve()
        return nil
      }, context)
  }

  /// Waits for the end of the only connection.
  func join() {
    pthread_join(thread, nil)
    close(listener)
  }

  private func serve() {
    let connection = accept(listener, nil, nil)
    sd_bus_new(&bus)
    sd_bus_set_fd(bus, connection, connection)
    sd_bus_set_server(bus, 1, sd_id128_t())
    sd_bus_set_anonymous(bus, 1)
    sd_bus_add_filter(
      bus, nil,
      { message, context, _ in
        guard let context else { return 0 }
        Unmanaged<FakeManager>.fromOpaque(context).takeUnretainedValue().answer(message)
        return 1
      }, Unmanaged.passUnretained(self).toOpaque())
    sd_bus_start(bus)
    while true {
      let result = sd_bus_process(bus, nil)
      if result < 0 { break }
      if result == 0, sd_bus_wait(bus, .max) < 0 { break }
    }
    sd_bus_close_unref(bus)
  }

  /// Appends values to a message. Swift cannot call `sd_bus_message_append`, which is variadic.
  private struct Writer {
    let message: OpaquePointer?

    func text(_ text: String, _ type: Unicode.Scalar = "s") {
      _ = text.withCString { sd_bus_message_append_basic(message, busType(type), $0) }
    }
    func number<Number: FixedWidthInteger>(_ number: Number, _ type: Unicode.Scalar) {
      withUnsafePointer(to: number) { _ = sd_bus_message_append_basic(message, busType(type), $0) }
    }
    func container(_ type: Unicode.Scalar, _ contents: String, _ body: () -> Void) {
      sd_bus_message_open_container(message, busType(type), contents)
      body()
      sd_bus_message_close_container(message)
    }
    func property(_ name: String, _ type: String, _ value: () -> Void) {
      container("e", "sv") {
        text(name)
        container("v", type, value)
      }
    }
    func bytes(_ bytes: [UInt8]) { sd_bus_message_append_array(message, busType("y"), bytes, bytes.count) }
  }

  private func answer(_ call: OpaquePointer?) {
    guard let member = sd_bus_message_get_member(call).map({ String(cString: $0) }) else { return }
    let arguments = BusReader(call)
    var reply: OpaquePointer?
    sd_bus_message_new_method_return(call, &reply)
    let writer = Writer(message: reply)
    switch member {
    case "GetAll" where arguments.text() == "org.freedesktop.systemd1.Unit": unitProperties(writer)
    case "Get":
      _ = arguments.text()
      switch arguments.text() {
      case "LoadState": writer.container("v", "s") { writer.text("not-found") }
      case "RemainAfterExit": writer.container("v", "b") { writer.number(CInt(1), "b") }
      case "Environment": writer.container("v", "as") { writer.container("a", "s") { writer.text("A=b") } }
      default: break
      }
    case "ListUnits", "ListUnitsByPatterns":
      writer.container("a", "(ssssssouso)") {
        for (name, state) in [("a.service", "loaded"), ("gone.service", "not-found")] {
          writer.container("r", "ssssssouso") {
            for text in [name, "Description", state, "active", "running", ""] { writer.text(text) }
            writer.text("/", "o")
            writer.number(UInt32(0), "u")
            writer.text("")
            writer.text("/", "o")
          }
        }
      }
    case "ListUnitFiles":
      writer.container("a", "(ss)") {
        writer.container("r", "ss") {
          writer.text("/usr/lib/systemd/system/b@.service")
          writer.text("enabled")
        }
      }
    default:
      sd_bus_message_unref(reply)
      reply = nil
      sd_bus_message_new_method_errno(call, &reply, ENOENT, nil)
    }
    sd_bus_send(bus, reply, nil)
    sd_bus_message_unref(reply)
  }

  private func unitProperties(_ writer: Writer) {
    writer.container("a", "{sv}") {
      writer.property("Id", "s") { writer.text("a.service") }
      writer.property("Names", "as") {
        writer.container("a", "s") { for name in ["a.service", "b.service"] { writer.text(name) } }
      }
      writer.property("ActiveState", "s") { writer.text("active") }
      writer.property("SubState", "s") { writer.text("running") }
      writer.property("Ignored", "(ss)") {
        writer.container("r", "ss") { for text in ["x", "y"] { writer.text(text) } }
      }
      writer.property("InvocationID", "ay") { writer.bytes(Array(1...16)) }
      writer.property("ActiveEnterTimestampMonotonic", "t") { writer.number(UInt64(7_000_000), "t") }
      writer.property("Job", "(uo)") {
        writer.container("r", "uo") {
          writer.number(UInt32(42), "u")
          writer.text("/org/freedesktop/systemd1/job/42", "o")
        }
      }
    }
  }
}

/// Calls to the service manager and their replies.
@Suite(.serialized) struct BusTests {
  private static let invocation = "0102030405060708090a0b0c0d0e0f10"

  private func withManager(_ body: (Bus) throws -> Void) throws {
    let directory = try TemporaryDirectory()
    let manager = try FakeManager(path: "\(directory.path)/private")
    try body(try Bus.connect(to: "\(directory.path)/private"))
    manager.join()
  }

  @Test func questionsAreAnswered() throws {
    try withManager { bus in
      let status = try bus.status(of: "a.service")
      #expect(status.unit == "a.service")
      #expect(status.names == ["a.service", "b.service"])
      #expect(status.activeState == "active")
      #expect(status.invocation == Self.invocation)
      #expect(status.activeEnter.monotonic == 7_000_000)
      #expect(status.job == 42)
      #expect(try bus.loadState(of: "x.service") == "not-found")
      #expect(try bus.remainsAfterExit("x.service"))
      #expect(try bus.managerEnvironment() == ["A=b"])
      #expect(try bus.unitNames() == ["a.service", "b@.service"])
      let error = #expect(throws: SystemError.self) { _ = try bus.managerProperties() }
      #expect(error == SystemError("ask the service manager about", path: "itself", code: ENOENT))
    }
  }

  @Test func answersComeFromTheLoop() throws {
    try withManager { bus in
      let loop = try EventLoop()
      var names: Set<String> = []
      var states: [UnitChange] = []
      var results: [String] = []
      bus.onUnitNames = { names = $0 }
      bus.onUnitState = { states.append($0) }
      try bus.attach(to: loop, onMessage: { _ in }, onDisconnect: {})
      try bus.askForUnits()
      try bus.askStatus(of: "a.service") { results.append((try? $0.get().activeState) ?? "error") }
      try bus.askManager { results.append((try? $0.get()) == nil ? "error" : "properties") }
      for _ in 0..<100 where states.count < 2 || results.count < 2 { try loop.runOnce(timeout: 100_000) }
      #expect(names == ["a.service", "gone.service"])
      #expect(states.map(\.unit) == ["a.service", "a.service"])
      #expect(states.first?.subState == "running")
      #expect(states.first?.invocation == Self.invocation)
      #expect(states.first?.job == 42)
      #expect(states.first?.activeEnter == 7_000_000)
      #expect(results.sorted() == ["active", "error"])
      #expect(bus.pendingCalls.isEmpty)
    }
  }
}
