internal import Lifecycle
package import Systemd

/// Asks the live manager where units are, once the system is up, whenever something may have been missed.
///
/// It waits for no answer: they come from the loop, some at a time.
package final class Reconciler {
  private let timers: any Timers
  /// Which units to ask about, when it comes to it.
  private let units: () -> [String]
  /// Takes an answer: when it was asked for, and since when the manager's signals are listened to.
  private let take: (UnitStatus, _ asked: UnitStatus.Moment, _ listening: UnitStatus.Moment) -> Void
  private var bus: Bus?
  private var listening = UnitStatus.Moment()
  /// Whether all units are to be asked about.
  private var isWanted = false
  private var isAskingManager = false
  private var toAsk: [String] = []
  private var asked = 0
  private var timer: Timer?
  private var delay = firstDelay
  private var againTimer: Timer?
  private var toAskAgain: Set<String> = []
  private var againDelay = firstDelay

  /// Answers that are waited for at once.
  private static let mostAsked = 32
  /// How soon it is asked again whether the system is up, and about units on their way, in microseconds: ever more seldom.
  private static let firstDelay: UInt64 = 1_000_000
  private static let lastDelay: UInt64 = 10_000_000

  package init(
    timers: any Timers, units: @escaping () -> [String],
    take: @escaping (UnitStatus, _ asked: UnitStatus.Moment, _ listening: UnitStatus.Moment) -> Void
  ) {
    self.timers = timers
    self.units = units
    self.take = take
  }

  // MARK: The connection

  /// There is a manager to ask.
  ///
  /// - Parameter listening: since when its signals are heard, on both clocks.
  package func connected(to bus: Bus, listening: UnitStatus.Moment) {
    self.bus = bus
    self.listening = listening
    start()
  }

  /// The manager is gone; what it was asked is asked again when there is one.
  package func disconnected() {
    bus = nil
    if isAskingManager || asked > 0 || !toAsk.isEmpty { isWanted = true }
    isAskingManager = false
    asked = 0
    toAsk = []
    timer = nil
  }

  // MARK: Asking

  /// Something may have been missed: asks about all units.
  package func request() {
    isWanted = true
    delay = Reconciler.firstDelay
    againDelay = Reconciler.firstDelay
    start()
  }

  /// Asks again about some units in a while.
  package func askAgain(about units: [String]) {
    toAskAgain.formUnion(units)
    guard !toAskAgain.isEmpty, againTimer == nil else { return }
    againTimer = timers.call(in: againDelay, accuracy: 250_000) { [unowned self] in
      againTimer = nil
      againDelay = min(againDelay * 2, Reconciler.lastDelay)
      toAsk += toAskAgain.subtracting(toAsk).sorted()
      toAskAgain = []
      askNext()
    }
  }

  private func start() {
    guard isWanted, let bus, !isAskingManager, asked == 0, toAsk.isEmpty else { return }
    timer = nil
    isAskingManager = true
    do {
      try bus.askManager { [unowned self] in answered($0) }
    } catch {
      isAskingManager = false
      startLater()
    }
  }

  /// The state that the manager says the system is in (`systemctl is-system-running`).
  private func answered(_ answer: Result<BusProperties, SystemError>) {
    isAskingManager = false
    let state = (try? answer.get())?.text("SystemState")
    // While it boots, units come up as they are told to; while it goes down, nobody's help is wanted.
    guard let state, ["running", "degraded", "maintenance"].contains(state) else { return startLater() }
    isWanted = false
    toAsk = units()
    askNext()
  }

  private func startLater() {
    timer = timers.call(in: delay, accuracy: 250_000) { [unowned self] in
      timer = nil
      start()
    }
    delay = min(delay * 2, Reconciler.lastDelay)
  }

  private func askNext() {
    guard let bus else { return }
    while asked < Reconciler.mostAsked, !toAsk.isEmpty {
      let unit = toAsk.removeFirst()
      let moment = timers.moment
      do {
        asked += 1
        try bus.askStatus(of: unit) { [unowned self] in answered($0, moment) }
      } catch {
        asked -= 1
      }
    }
    if asked == 0 { start() }
  }

  private func answered(_ answer: Result<UnitStatus, SystemError>, _ moment: UnitStatus.Moment) {
    guard case .success(let status) = answer else { return done() }
    // It has failed, or may wait for its restart after a failure.
    guard ["failed", "activating"].contains(status.activeState), let bus else {
      take(status, moment, listening)
      return done()
    }
    do {
      try bus.askResult(of: status.unit) { [unowned self] result in
        var status = status
        status.result = try? result.get()
        take(status, moment, listening)
        done()
      }
    } catch {
      take(status, moment, listening)
      done()
    }
  }

  private func done() {
    asked -= 1
    askNext()
  }
}

extension Timers {
  /// Now, on both clocks.
  package var moment: UnitStatus.Moment { UnitStatus.Moment(monotonic: monotonic, realtime: realtime) }
}
