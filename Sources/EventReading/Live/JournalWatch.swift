internal import Glibc
package import Lifecycle
package import Systemd

/// Says when to look at the journal.
///
/// journald's own notification comes up to 250 ms after an entry is readable. A signal of the service manager on the bus comes
/// within a millisecond of the same change, but before journald has stored what the manager wrote; so it is answered by
/// looking at once, and again after 1, 2, 4 … 64 ms. Without a bus everything works as well, only slower.
package final class JournalWatch {
  private let loop: EventLoop
  private let timers: any Timers
  private let look: () -> Void
  private let manager: Manager
  private var journalSource: EventSource?
  private var journalDescriptor: CInt?
  /// Whether the descriptor tells every change.
  private var isReliable = true
  private var timer: Timer?
  private var pollTimer: Timer?
  private var delay: UInt64 = 0
  /// The manager, while there is a connection to it.
  package private(set) var bus: Bus?
  private var reconnectTimer: Timer?
  /// Called with what the manager says of a unit's state.
  package var onUnitChange: ((UnitChange) -> Void)?
  /// Called when a job of the manager is queued or gone: its number, its unit, and its result if it is gone.
  package var onJob: ((UInt32, String, String?) -> Void)?
  /// Called when the manager was away for a moment (`systemctl daemon-reexec`), with the names of all units that it has now.
  /// The states of those that changed meanwhile follow by `onUnitChange`.
  package var onReturn: ((Set<String>) -> Void)?
  /// When the connection was lost, in microseconds since boot.
  private var lostSince: UInt64?
  /// Called when the system begins to go down (true), and when that was called off.
  package var onShutdown: ((Bool) -> Void)?
  /// Called with each connection to the manager, and when it is lost.
  package var onConnect: ((Bus) -> Void)?
  package var onDisconnect: (() -> Void)?
  /// Called when the manager has read the unit files anew.
  package var onReload: (() -> Void)?
  private var reconnectDelay = firstReconnect

  private static let firstDelay: UInt64 = 1000
  private static let lastDelay: UInt64 = 64_000
  /// How often to look where the journal's descriptor does not tell every change (network file systems).
  private static let pollInterval: UInt64 = 1_000_000
  private static let lastReading: UInt64 = 1_000_000
  private static let firstReconnect: UInt64 = 100_000
  private static let lastReconnect: UInt64 = 10_000_000

  /// - Parameter manager: whose signals `listenToManager` listens to.
  package init(loop: EventLoop, timers: any Timers, manager: Manager = .system, look: @escaping () -> Void) {
    self.loop = loop
    self.timers = timers
    self.manager = manager
    self.look = look
  }

  /// Watches the journal's descriptor from now on, instead of an earlier one.
  package func watch(journal descriptor: CInt, isReliable: Bool) throws(SystemError) {
    journalDescriptor = descriptor
    self.isReliable = isReliable
    journalSource?.cancel()
    journalSource = try loop.watch(descriptor, for: .input) { [unowned self] _ in look() }
    if !isReliable { poll() }
  }

  /// Does not call back for the journal for now: its descriptor stays readable until somebody reads.
  package func pause() {
    journalSource?.cancel()
    journalSource = nil
  }

  /// Calls back again, at once if something has happened meanwhile.
  package func resume() {
    guard journalSource == nil, let journalDescriptor else { return }
    do {
      journalSource = try loop.watch(journalDescriptor, for: .input) { [unowned self] _ in look() }
      if isReliable { pollTimer = nil }
    } catch {
      // There was no memory for it (ENOMEM, ENOSPC): looking regularly leads here again.
      if pollTimer == nil { poll() }
    }
  }

  /// Stops watching a journal that is about to be closed.
  package func forgetJournal() {
    pause()
    journalDescriptor = nil
    pollTimer = nil
  }

  private func poll() {
    pollTimer = timers.call(in: JournalWatch.pollInterval) { [unowned self] in
      look()
      poll()
    }
  }

  private func connect() throws(SystemError) -> Bus {
    switch manager {
    case .system: try geteuid() == 0 ? Bus.privateSystemManager() : Bus.systemBus()
    case .user: try Bus.privateUserManager()
    }
  }

  /// Listens to this machine's service manager; again after a pause whenever the connection is lost or refused.
  package func listenToManager() {
    do {
      let bus = try connect()
      bus.onJob = { [unowned self] in onJob?($0, $1, $2) }
      bus.onShutdown = { [unowned self] in onShutdown?($0) }
      bus.onReload = { [unowned self] in onReload?() }
      try bus.attach(
        to: loop, onMessage: { [unowned self] in nudge($0) }, onDisconnect: { [unowned self] in reconnect() })
      self.bus = bus
      let lostSince = lostSince
      bus.onUnitState = { [unowned self] state in
        // What was told before it was lost may have come too late to be read.
        guard max(state.activeEnter, state.inactiveEnter) &+ JournalWatch.lastReading >= lostSince ?? 0 else { return }
        onUnitChange?(state)
      }
      if lostSince != nil {
        bus.onUnitNames = { [unowned self] in onReturn?($0) }
        try bus.askForUnits()
        self.lostSince = nil
      }
      reconnectTimer = nil
      reconnectDelay = JournalWatch.firstReconnect
      onConnect?(bus)
    } catch {
      reconnect()
    }
  }

  private func reconnect() {
    if bus != nil { onDisconnect?() }
    bus = nil
    if lostSince == nil { lostSince = timers.monotonic }
    reconnectTimer = timers.call(in: reconnectDelay) { [unowned self] in
      listenToManager()
      // What was told in between was told to nobody.
      look()
    }
    reconnectDelay = min(reconnectDelay * 2, JournalWatch.lastReconnect)
  }

  private func nudge(_ change: UnitChange?) {
    if let change { onUnitChange?(change) }
    delay = JournalWatch.firstDelay
    look()
    scheduleLook()
  }

  private func scheduleLook() {
    timer = timers.call(in: delay, accuracy: 100) { [unowned self] in
      delay *= 2
      look()
      if delay <= JournalWatch.lastDelay { scheduleLook() } else { timer = nil }
    }
  }
}
