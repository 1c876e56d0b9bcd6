import ArgumentParser
import Glibc
internal import Lifecycle
internal import Runs
internal import Systemd

/// How events are shown.
enum EventFormat: String, ExpressibleByArgument, CaseIterable {
  case short
  case shortISO = "short-iso"
  case json
  case jsonPretty = "json-pretty"
  case cat
}

/// Writes events to standard output.
final class EventPrinter {
  private let format: EventFormat
  /// Whether to print boot marks and "no events", as journalctl does on a terminal.
  private let hasMarks: Bool
  private var buffer: [UInt8] = []
  private var isEmpty = true
  /// The boot of the last event that was shown, for each machine.
  private var boots: [String: String] = [:]

  private static let capacity = 1 << 16

  init(format: EventFormat, isQuiet: Bool) {
    self.format = format
    hasMarks = !isQuiet && isatty(STDOUT_FILENO) == 1 && format != .json && format != .jsonPretty
  }

  func print(_ event: LifecycleEvent) {
    if hasMarks, let old = boots.updateValue(event.boot, forKey: event.machine), old != event.boot {
      add(Console.paint("-- Boot \(event.boot) --", .bold))
    }
    isEmpty = false
    switch format {
    case .short: add("\(event.place(at: Timestamp(microseconds: event.realtime).shortPreciseLocal)) \(event.summary)")
    case .shortISO: add("\(event.place(at: Timestamp(microseconds: event.realtime).rfc3339Local)) \(event.summary)")
    case .cat: add(event.summary)
    case .json:
      JSONObject.append(to: &buffer) { event.write(to: &$0) }
      endLine()
    case .jsonPretty: add(event.json.prettyText)
    }
  }

  private func add(_ line: String) {
    buffer += line.utf8
    endLine()
  }

  private func endLine() {
    buffer.append(UInt8(ascii: "\n"))
    if buffer.count >= EventPrinter.capacity { flush() }
  }

  /// Writes the buffer to standard output.
  func flush() {
    Console.write(buffer[...], to: STDOUT_FILENO)
    buffer.removeAll(keepingCapacity: true)
  }

  /// Call this when all past events were printed.
  func finish(isFollowed: Bool) {
    if isEmpty, hasMarks, !isFollowed { add("-- No events --") }
    flush()
  }
}

extension LifecycleEvent {
  /// The time and the host name.
  fileprivate func place(at time: String) -> String { hostname.map { "\(time) \($0.printable)" } ?? time }

  /// The unit, the event and its details, with colours on a terminal.
  fileprivate var summary: String {
    let color: Console.Color? =
      switch kind {
      case .failed, .gaveUp, .oom, .reloadFailed: .red
      case .started, .finished: .green
      case .stopped: .yellow
      case .starting, .stopping, .restarting, .reloading: .dim
      case .restarted, .reloaded, .skipped: nil
      }
    var words = [Console.paint(unit.printable, .bold), Console.paint(kind.rawValue, color)]
    if let result { words.append(result.printable) }
    if restartJob == true { words.append("restart") }
    if autoRestart == true { words.append("auto") }
    if source != .journal { words.append("[\(source.rawValue)]") }
    if let exitCode, let exitStatus { words.append("(\(exitCode), status \(exitStatus))".printable) }
    return words.joined(separator: " ")
  }
}
