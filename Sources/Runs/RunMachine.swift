package import Hooks
internal import Lifecycle
internal import Systemd

/// The life of one attempt of a run, from its process's start until nothing of it is left.
///
/// Inputs are what happened, the returned actions are what to do; no process and no clock is touched here. Of the main
/// process's end and the end of everything else in its tree, each may come first.
package struct RunMachine: Sendable {
  /// How the main process ended.
  package enum Exit: Sendable, Equatable {
    case exited(Int32)
    case killed(Int32)
    case dumped(Int32)
  }

  /// What became of an attempt.
  package struct Outcome: Sendable, Equatable {
    package var state: Run.State
    package var exit: Exit?
    /// The reason, where the exit alone does not show it.
    package var reason: String?

    package init(state: Run.State, exit: Exit? = nil, reason: String? = nil) {
      self.state = state
      self.exit = exit
      self.reason = reason
    }
  }

  package enum Action: Sendable, Equatable {
    /// Create the next process: of the next `ExecCondition=`, or of the hook itself.
    case spawn
    /// Send TERM to every process of the tree.
    case terminate
    /// Send KILL to every process of the tree.
    case kill
    /// Call `timerElapsed` after this number of microseconds; replaces an earlier timer.
    case startTimer(UInt64)
    /// Write the outcome down; the next run may start.
    case record(Outcome)
    /// Nothing is left: give up the container.
    case release
  }

  private enum Phase: Equatable {
    /// Until the main process ends or the deadline comes.
    case running
    /// TERM was sent; waiting until the tree is empty or the grace is over.
    case terminating
    /// KILL was sent.
    case killing
    case done
  }

  /// After KILL the kernel needs a moment; then it is sent again, to what was being created meanwhile.
  static let killInterval: UInt64 = 100_000

  private let timeout: UInt64?
  private let grace: UInt64?
  private let successExitStatus: ExitStatusSet
  /// How many commands of `ExecCondition=` have to hold yet, the one under way included.
  private var conditions: Int
  private var phase = Phase.running
  private var mainHasEnded = false
  private var timedOut = false
  private var cutOff = false

  /// - Parameters:
  ///   - timeout: microseconds until TERM; nil for infinity.
  ///   - grace: microseconds from TERM to KILL; nil for infinity.
  ///   - successExitStatus: what counts as success besides status 0.
  ///   - conditions: the number of commands that decide whether the hook is run; the time is for all together.
  package init(
    timeout: UInt64?, grace: UInt64?, successExitStatus: ExitStatusSet = ExitStatusSet(), conditions: Int = 0
  ) {
    self.timeout = timeout
    self.grace = grace
    self.successExitStatus = successExitStatus
    self.conditions = conditions
  }

  /// Whether nothing of it is left.
  package var isDone: Bool { phase == .done }

  /// The first process was created.
  package mutating func spawned() -> [Action] {
    guard let timeout else { return [] }
    return [.startTimer(timeout)]
  }

  /// A process could not be created; `treeIsEmpty` says whether those before it have left anything behind.
  package mutating func spawnFailed(_ reason: String, treeIsEmpty: Bool = true) -> [Action] {
    guard !mainHasEnded else { return [] }
    return end(Outcome(state: .failed, reason: reason), treeIsEmpty: treeIsEmpty)
  }

  /// The process that was created last has ended; `treeIsEmpty` says whether it has left anything behind.
  package mutating func mainEnded(_ exit: Exit, treeIsEmpty: Bool) -> [Action] {
    guard !mainHasEnded else { return [] }
    if conditions > 0, phase == .running {
      switch exit {
      case .exited(0):
        conditions -= 1
        return [.spawn]
      case .exited(1...254):
        return end(
          Outcome(state: .skipped, exit: exit, reason: "ExecCondition= does not hold"), treeIsEmpty: treeIsEmpty)
      default:
        return end(Outcome(state: .failed, exit: exit, reason: "ExecCondition= failed"), treeIsEmpty: treeIsEmpty)
      }
    }
    return end(outcome(of: exit), treeIsEmpty: treeIsEmpty)
  }

  private mutating func end(_ outcome: Outcome, treeIsEmpty: Bool) -> [Action] {
    mainHasEnded = true
    var actions: [Action] = [.record(outcome)]
    if treeIsEmpty {
      phase = .done
      actions.append(.release)
    } else if phase == .running {
      actions += terminate()
    }
    return actions
  }

  /// The last process of the tree is gone.
  package mutating func treeEmptied() -> [Action] {
    guard mainHasEnded, phase != .done else { return [] }
    phase = .done
    return [.release]
  }

  /// The timer that was asked for last has elapsed.
  package mutating func timerElapsed() -> [Action] {
    switch phase {
    case .running:
      timedOut = true
      return terminate()
    case .terminating, .killing:
      phase = .killing
      return [.kill, .startTimer(RunMachine.killInterval)]
    case .done: return []
    }
  }

  /// journalhook itself has to end: the run is ended, and will be run again.
  package mutating func interrupt() -> [Action] {
    guard !mainHasEnded else { return [] }
    cutOff = true
    return phase == .running ? terminate() : []
  }

  private mutating func terminate() -> [Action] {
    phase = .terminating
    guard let grace else { return [.terminate] }
    return [.terminate, .startTimer(grace)]
  }

  private func outcome(of exit: Exit) -> Outcome {
    if cutOff { return Outcome(state: .interrupted, exit: exit, reason: "journalhook ended") }
    if timedOut {
      return Outcome(state: .timedOut, exit: exit, reason: timeout.map { "after \(TimeSpan(microseconds: $0))" })
    }
    let isSuccess =
      switch exit {
      case .exited(0): true
      case .exited(let status): successExitStatus.contains(.status(UInt8(truncatingIfNeeded: status)))
      case .killed(let signal), .dumped(let signal): successExitStatus.contains(.signal(signal))
      }
    return Outcome(state: isSuccess ? .succeeded : .failed, exit: exit)
  }
}
