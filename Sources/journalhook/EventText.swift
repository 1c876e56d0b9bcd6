import JournalHookCore
import Systemd

extension LifecycleEvent {
  /// The event as a line for people, with colours by meaning on a terminal.
  var line: String {
    let color: Console.Color? =
      switch kind {
      case .failed, .gaveUp, .oom, .reloadFailed: .red
      case .started, .finished: .green
      case .stopped: .yellow
      case .starting, .stopping, .restarting, .reloading: .dim
      case .restarted, .reloaded, .skipped: nil
      }
    var words = [Timestamp(microseconds: realtime).shortPreciseLocal]
    if let hostname { words.append(hostname) }
    words += [Console.paint(unit, .bold), Console.paint(kind.rawValue, color)]
    if let result { words.append(result) }
    if restart == true { words.append("restart") }
    if auto == true { words.append("auto") }
    if source != .journal { words.append("[\(source.rawValue)]") }
    if let exitCode, let exitStatus { words.append("(\(exitCode), status \(exitStatus))") }
    return words.joined(separator: " ")
  }
}
