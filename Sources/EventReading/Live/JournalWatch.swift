internal import Glibc
package import Systemd

/// Decides when to read the journal.
///
/// The notification of journald comes up to 250 ms after an entry is readable. The signal of the service manager on the bus comes
/// within a millisecond of the change, but before journald has stored the message. So after a signal the journal is read at once,
/// and again after 1, 2, 4 … 64 ms. Without a bus everything works, too, but more slowly.
package final class JournalWatch {
  private let loop: any Loop
  private let timers: any Timers
  private let look: () -> Void
  private let connect: () throws(SystemError) -> any ManagerLink
  private var journalSource: EventSource?
  private var journalDescriptor: CInt?
  /// Whether the descriptor reports every change.
  private var isReliable = true
  private var timer: Timer?
  private var pollTimer: Timer?
  private var delay: UInt64 = 0
  /// The connection to the manager; nil while there is none.
  package private(set) var bus: (any ManagerLink)?
  private var reconnectTimer: Timer?
  /// When the connection was lost, in microseconds since boot; nil while there is one.
  private var lostSince: UInt64?
  private var reconnectDelay = firstReconnect
  /// Called with what the service manager sends.
  package var manager = ManagerCallbacks()

  private static let firstDelay: UInt64 = 1000
  private static let lastDelay: UInt64 = 64_000
  /// The interval of reads where the descriptor does not report every change (network file systems).
  private static let pollInterval: UInt64 = 1_000_000
  /// Changes up to this time before a lost connection may not have been received, in microseconds.
  private static let lastReading: UInt64 = 1_000_000
  private static let firstReconnect: UInt64 = 100_000
  private static let lastReconnect: UInt64 = 10_000_000

  /// - Parameters:
  ///   - connect: makes a connection to the service manager, for `listenToManager`.
  ///   - look: reads the journal.
  package init(
    loop: any Loop, timers: any Timers, connect: @escaping () throws(SystemError) -> any ManagerLink,
    look: @escaping () -> Void
  ) {
    self.loop = loop
    self.timers = timers
    self.connect = connect
    self.look = look
  }

  /// Watches a descriptor of the journal from now on, instead of an earlier one.
  package func watch(journal descriptor: CInt, isReliable: Bool) throws(SystemError) {
    journalDescriptor = descriptor
    self.isReliable = isReliable
    journalSource?.cancel()
    journalSource = try loop.watch(descriptor, for: .input) { [unowned self] _ in look() }
    if !isReliable { poll() }
  }

  /// Stops calling `look` for the journal: its descriptor stays readable until the journal is read.
  package func pause() {
    journalSource?.cancel()
    journalSource = nil
  }

  /// Calls `look` again for the journal, at once if it has changed in the meantime.
  package func resume() {
    guard journalSource == nil, let journalDescriptor else { return }
    do {
      journalSource = try loop.watch(journalDescriptor, for: .input) { [unowned self] _ in look() }
      if isReliable { pollTimer = nil }
    } catch {
      // No memory or no watch left (ENOMEM, ENOSPC). The regular reads call this function again.
      if pollTimer == nil { poll() }
    }
  }

  /// Stops watching the journal, before it is closed.
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

  /// Connects to the service manager of this machine. When the connection is lost or refused, it tries again after a pause.
  package func listenToManager() {
    do {
      let bus = try connect()
      bus.onJob = { [unowned self] in manager.onJob?($0, $1, $2) }
      bus.onShutdown = { [unowned self] in manager.onShutdown?($0) }
      bus.onReload = { [unowned self] in manager.onReload?() }
      try bus.listen(
        in: loop, onMessage: { [unowned self] in nudge($0) }, onDisconnect: { [unowned self] in reconnect() })
      self.bus = bus
      let lostSince = lostSince
      bus.onUnitState = { [unowned self] state in
        // Changes shortly before the connection was lost may not have been received: they count, too.
        guard max(state.activeEnter, state.inactiveEnter) &+ JournalWatch.lastReading >= lostSince ?? 0 else { return }
        manager.onUnitChange?(state)
      }
      if lostSince != nil {
        bus.onUnitNames = { [unowned self] in manager.onReturn?($0) }
        try bus.askForUnits()
        self.lostSince = nil
      }
      reconnectTimer = nil
      reconnectDelay = JournalWatch.firstReconnect
      manager.onConnect?(bus)
    } catch {
      reconnect()
    }
  }

  private func reconnect() {
    if bus != nil { manager.onDisconnect?() }
    bus = nil
    if lostSince == nil { lostSince = timers.monotonic }
    reconnectTimer = timers.call(in: reconnectDelay) { [unowned self] in
      listenToManager()
      // Signals that were sent in between are lost.
      look()
    }
    reconnectDelay = min(reconnectDelay * 2, JournalWatch.lastReconnect)
  }

  private func nudge(_ change: UnitChange?) {
    if let change { manager.onUnitChange?(change) }
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

/// Who is called with what the service manager sends.
package struct ManagerCallbacks {
  /// Called when the manager sends a change of a unit's state.
  package var onUnitChange: ((UnitChange) -> Void)?
  /// Called when a job of the manager was queued or removed: its id, its unit, and its result if it was removed.
  package var onJob: ((UInt32, String, String?) -> Void)?
  /// Called when the connection to the manager is back (for example after `systemctl daemon-reexec`), with the names of all units
  /// that it has now. The states of units that have changed in between follow by `onUnitChange`.
  package var onReturn: ((Set<String>) -> Void)?
  /// Called with true when the shutdown of the system starts, and with false when it was cancelled.
  package var onShutdown: ((Bool) -> Void)?
  /// Called with each new connection to the manager.
  package var onConnect: ((any ManagerLink) -> Void)?
  /// Called when the connection to the manager is lost.
  package var onDisconnect: (() -> Void)?
  /// Called when the manager has read the unit files again.
  package var onReload: (() -> Void)?
}
