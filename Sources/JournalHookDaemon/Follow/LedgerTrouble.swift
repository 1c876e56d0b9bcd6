internal import RunLedger
internal import Systemd

/// Whether the ledger can be written; what it refuses is tried again.
final class LedgerTrouble {
  private let reporter: Reporter
  private let timers: any Timers
  /// Whether it was said that the ledger cannot be written.
  private(set) var isRefused = false
  private var timer: Timer?
  /// Tries again all that was refused, in its order: whichever part failed last must not make another forgotten.
  var retry: () -> Void = {}
  /// Called when `isRefused` may have changed.
  var onChange: () -> Void = {}

  static let retryInterval: UInt64 = 1_000_000

  init(reporter: Reporter, timers: any Timers) {
    self.reporter = reporter
    self.timers = timers
  }

  /// The ledger has refused; it is tried again in a second.
  func note(_ error: any Error) {
    if !isRefused {
      reporter.say("\(error). Nothing more is read until it can be written.", .trouble, priority: .error)
    }
    isRefused = true
    onChange()
    timer = timers.call(in: LedgerTrouble.retryInterval) { [unowned self] in
      timer = nil
      retry()
    }
  }

  /// The ledger was written.
  func noteSuccess() {
    guard isRefused else { return }
    isRefused = false
    reporter.say("The ledger can be written again.", .trouble, priority: .notice)
    onChange()
  }
}
