import Glibc
import Systemd
import TestSupport
import Testing

@testable import Lifecycle

/// Journals of several systemd releases, recorded or written from their source (Fixtures/README.md), against the events that they contain.
@Suite struct RecordingTests {
  @Test(arguments: ["v219", "el8", "v247", "v252", "v257", "v260"])
  func recordingTellsItsEvents(_ name: String) throws {
    let decoder = EntryDecoder(trust: .anySystem)
    var tracker = LifecycleTracker()
    var order = EventOrder()
    var lines: [String] = []
    var isMarked = false
    for entry in entries(ofExport: try fixture("\(name).export")) {
      if entry["SYSLOG_IDENTIFIER"] == "mark", let mark = entry["MESSAGE"] {
        lines += order.take(tracker.flushAll(), waitingSince: nil).map(summary)
        lines.append("## \(mark)")
        isMarked = true
      }
      guard let said = decoder.decode(entry) else { continue }
      let events = order.take(tracker.process(said), waitingSince: tracker.waitingSince)
      if isMarked { lines += events.map(summary) }
    }
    lines += order.take(tracker.flushAll(), waitingSince: nil).map(summary)
    let expected = String(decoding: try fixture("\(name).events"), as: UTF8.self)
    #expect(lines == expected.split(separator: "\n").map(String.init))
  }

  private func summary(_ event: LifecycleEvent) -> String {
    var words = [event.unit, event.kind.rawValue]
    if let result = event.result, event.kind != .reloadFailed { words.append(result) }
    if event.restartJob == true { words.append("restart") }
    if event.autoRestart == true, event.kind == .started { words.append("auto") }
    return words.joined(separator: " ")
  }
}

/// A variable of the environment.
func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// The bytes of a file in this target's Fixtures directory.
func fixture(_ name: String, file: String = #filePath) throws -> [UInt8] {
  let directory = file.split(separator: "/").dropLast().joined(separator: "/")
  let descriptor = open("/\(directory)/Fixtures/\(name)", O_RDONLY)
  try #require(descriptor >= 0, "no fixture \(name)")
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    guard count > 0 else { break }
    bytes += buffer[..<count]
  }
  return bytes
}
