import Glibc
import Systemd
import Testing

@testable import Systemd

/// The event loop, on the thread that makes it.
@Suite struct EventLoopTests {
  private final class Log {
    var lines: [String] = []
  }

  @Test func timersAreCalledInOrderOfTime() throws {
    let loop = try EventLoop()
    let log = Log()
    let now = loop.now()
    let sources = try [
      loop.schedule(at: now + 20_000) { [unowned loop] in
        log.lines.append("late")
        loop.exit(7)
      },
      loop.schedule(at: now + 5000) { log.lines.append("early") },
      loop.schedule { log.lines.append("at once") },
    ]
    #expect(try loop.run() == 7)
    #expect(log.lines == ["at once", "early", "late"])
    withExtendedLifetime(sources) {}
  }

  @Test func descriptorsAndCancelling() throws {
    let loop = try EventLoop()
    let log = Log()
    var ends: [CInt] = [-1, -1]
    #expect(pipe(&ends) == 0)
    defer { ends.forEach { close($0) } }
    var source: EventSource?
    source = try loop.watch(ends[0], for: .input) { readiness in
      log.lines.append(readiness.contains(.input) ? "readable" : "?")
      // The source is released by its own action.
      source = nil
    }
    #expect(try !loop.runOnce(timeout: 0))
    #expect(write(ends[1], "x", 1) == 1)
    #expect(try loop.runOnce(timeout: 1_000_000))
    #expect(try !loop.runOnce(timeout: 0), "still readable, but the source is gone")
    #expect(log.lines == ["readable"])
    #expect(source == nil)
  }

  @Test func prioritiesDecideAmongThoseThatAreReady() throws {
    let loop = try EventLoop()
    let log = Log()
    var ends: [CInt] = [-1, -1]
    #expect(pipe(&ends) == 0)
    defer { ends.forEach { close($0) } }
    let second = dup(ends[1])
    defer { close(second) }
    let idle = try loop.watch(second, for: .output, priority: .idle) { _ in log.lines.append("idle") }
    let important = try loop.watch(ends[1], for: .output, priority: .important) { _ in
      log.lines.append("important")
    }
    #expect(try loop.runOnce(timeout: 1_000_000))
    important.cancel()
    #expect(try loop.runOnce(timeout: 1_000_000))
    #expect(log.lines == ["important", "idle"])
    idle.cancel()
  }
}
