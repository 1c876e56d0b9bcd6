internal import Systemd

/// Writes to the ledger what must not be lost: what it refuses (a full disk, say) is kept and tried again, in its order.
final class LedgerRetries {
  private let timers: any Timers
  private let reporter: Reporter
  private var unwritten: [() throws -> Void] = []
  private var retryTimer: Timer?
  /// Whether it was said already.
  private var isStuck = false
  /// Called when all that was refused is written.
  var onWritten: (() -> Void)?

  init(timers: any Timers, reporter: Reporter) {
    self.timers = timers
    self.reporter = reporter
  }

  /// Whether nothing is kept.
  var isDone: Bool { unwritten.isEmpty }

  /// Writes, now or as soon as that is possible.
  func write(_ body: @escaping () throws -> Void) {
    unwritten.append(body)
    if unwritten.count == 1 { writeAll() }
  }

  private func writeAll() {
    while let body = unwritten.first {
      do {
        try body()
        unwritten.removeFirst()
        isStuck = false
      } catch {
        if !isStuck { reporter.say("\(error). Runs wait until it can be written.", .trouble, priority: .error) }
        isStuck = true
        retryTimer = timers.call(in: RunExecutor.retryInterval) { [unowned self] in
          retryTimer = nil
          writeAll()
          if isDone { onWritten?() }
        }
        return
      }
    }
  }
}
