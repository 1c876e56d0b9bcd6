internal import Glibc
internal import HookFiles
internal import Hooks
internal import Processes
internal import RunLedger
internal import Runs
internal import Systemd

/// Begins attempts: checks what must hold before, writes down that they begin, and has their first process created.
final class RunStarter {
  enum Result {
    /// The attempt is under way.
    case begun
    /// The run has an outcome without a process.
    case ended(RunMachine.Outcome, HookDefinition?)
    /// The run keeps its place, and is tried again after this number of microseconds.
    case putOff(for: UInt64)
  }

  private let owner: String
  private let ledger: Ledger
  private let host: any RunHost
  private let reporter: Reporter
  private let timers: any Timers
  private let writer: LedgerRetries
  /// Runs whose hook was not there when their turn came, once.
  private var secondChances: Set<Int64> = []
  /// Where owners that were killed had left processes, which were ended.
  private var endedPlaces: Set<String> = []
  /// Whether it was said already that runs cannot begin.
  private var isStuck = false

  /// How often to look whether another process has done its run of the same unit, in microseconds.
  private static let turnInterval: UInt64 = 50_000

  init(
    owner: String, ledger: Ledger, host: any RunHost, reporter: Reporter, timers: any Timers, writer: LedgerRetries
  ) {
    self.owner = owner
    self.ledger = ledger
    self.host = host
    self.reporter = reporter
    self.timers = timers
    self.writer = writer
  }

  /// Begins a run.
  ///
  /// - Parameter connect: called with the attempt before its first process is created; what it does is undone by `disconnect`.
  func start(
    _ run: Run, connect: (any RunAttempt) -> Void, disconnect: (any RunAttempt) -> Void
  ) -> Result {
    let attempt: any RunAttempt
    do throws(HookError) {
      attempt = try host.prepare(run)
    } catch {
      // Who saves a file may first empty or remove it: the run waits for what comes then.
      if error.kind == .temporary { return postpone(run, error) }
      if error.kind != .untrusted, secondChances.insert(run.id).inserted {
        return .putOff(for: RunExecutor.retryInterval)
      }
      secondChances.remove(run.id)
      return .ended(.init(state: error.isRefusal ? .refused : .failed, reason: error.description), nil)
    }
    secondChances.remove(run.id)
    do {
      if let unmet = try attempt.unmetCondition() {
        return .ended(.init(state: .skipped, reason: "\(unmet) does not hold"), attempt.definition)
      }
    } catch {
      return .ended(.init(state: .failed, reason: "a condition could not be checked: \(error)"), attempt.definition)
    }
    do {
      guard try writeDownBegin(of: attempt) else { return .putOff(for: RunStarter.turnInterval) }
    } catch {
      return postpone(run, error)
    }
    connect(attempt)
    do {
      try attempt.begin()
      reporter.started(run)
      isStuck = false
      return .begun
    } catch {
      disconnect(attempt)
      attempt.discard()
      if RunStarter.isTemporary(error) {
        writer.write { [ledger] in try ledger.takeBack(run) }
        return postpone(run, error)
      }
      writer.write { [ledger] in try ledger.release(run) }
      return .ended(.init(state: .failed, reason: "\(error)"), attempt.definition)
    }
  }

  /// Writes down that the attempt begins, and where its processes will be; false when another process's run has to end first.
  private func writeDownBegin(of attempt: any RunAttempt) throws -> Bool {
    let place = try attempt.makePlace()
    do {
      while true {
        let result = try ledger.begin(
          attempt.run, container: place, isParallel: attempt.definition.parallel, owner: owner, ended: endedPlaces,
          now: timers.realtime)
        switch result {
        case .begun: return true
        case .mustWait:
          attempt.discard()
          return false
        case .leftovers(let places):
          for place in places {
            reporter.endLeftovers(in: place, host)
            endedPlaces.insert(place)
          }
        }
      }
    } catch {
      attempt.discard()
      throw error
    }
  }

  /// The run is begun later: when the ledger can be written again, or there is memory, or another run has given back its
  /// descriptors.
  private func postpone(_ run: Run, _ error: any Error) -> Result {
    if !isStuck {
      reporter.say("Cannot begin run \(run.id) of hook \(run.hook) now: \(error).", .trouble, priority: .error)
    }
    isStuck = true
    return .putOff(for: RunExecutor.retryInterval)
  }

  /// Whether the system, not the hook, is at fault, so that it may go well a moment later.
  private static func isTemporary(_ error: any Error) -> Bool {
    switch error {
    case let error as SpawnError: error.isTemporary
    case let error as HookError: error.kind == .temporary
    case let error as SystemError: error.isTemporary || [ENOSPC, EDQUOT, ETXTBSY].contains(error.code)
    default: false
    }
  }
}
