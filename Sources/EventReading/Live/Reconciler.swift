internal import Lifecycle
package import Systemd

/// Asks the running manager for the state of units, whenever events may have been missed and the system is up.
///
/// It does not block: the answers come from the event loop, several at a time.
package final class Reconciler {
  private let timers: any Timers
  /// Returns the units to ask about.
  private let units: () -> [String]
  /// Takes an answer, with the time of the question, and the time since which the signals of the manager are received.
  private let take: (UnitStatus, _ asked: UnitStatus.Moment, _ listening: UnitStatus.Moment) -> Void
  private var bus: (any ManagerLink)?
  private var listening = UnitStatus.Moment()
  /// Whether the states of all units are still to be requested.
  private var isWanted = false
  private var isAskingManager = false
  private var toAsk: [String] = []
  private var asked = 0
  private var timer: Timer?
  private var delay = firstDelay
  private var againTimer: Timer?
  private var toAskAgain: Set<String> = []
  private var againDelay = firstDelay

  /// How many answers may be outstanding at the same time.
  private static let mostAsked = 32
  /// The first interval until it asks again whether the system is up, or about units that are changing, in microseconds. The
  /// interval doubles each time.
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

  /// There is a connection to the manager.
  ///
  /// - Parameter listening: since when its signals are received, on both clocks.
  package func connected(to bus: any ManagerLink, listening: UnitStatus.Moment) {
    self.bus = bus
    self.listening = listening
    start()
  }

  /// The connection to the manager is lost. Questions without an answer are repeated when there is a new one.
  package func disconnected() {
    bus = nil
    if isAskingManager || asked > 0 || !toAsk.isEmpty { isWanted = true }
    isAskingManager = false
    asked = 0
    toAsk = []
    timer = nil
  }

  // MARK: Asking

  /// Requests the states of all units, because events may have been missed.
  package func request() {
    isWanted = true
    delay = Reconciler.firstDelay
    againDelay = Reconciler.firstDelay
    start()
  }

  /// Requests the states of some units again, after an interval.
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
      try bus.askSystemState { [unowned self] in answered($0) }
    } catch {
      isAskingManager = false
      startLater()
    }
  }

  /// Takes the state of the system (`systemctl is-system-running`).
  private func answered(_ answer: Result<String, SystemError>) {
    isAskingManager = false
    let state = try? answer.get()
    // While the system boots, units come up by their jobs. While it shuts down, no hook is to interfere.
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
    // For a unit that has failed, or may wait for an automatic restart, its result is needed, too.
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
  /// The current time, on both clocks.
  package var moment: UnitStatus.Moment { UnitStatus.Moment(monotonic: monotonic, realtime: realtime) }
}
