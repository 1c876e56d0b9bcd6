import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import Runs

@Suite struct RunMachineTests {
  private enum Input {
    case spawned, spawnFailed, elapsed, interrupt, emptied
    case ended(RunMachine.Exit, empty: Bool)
  }

  private func play(_ machine: RunMachine, _ inputs: [Input]) -> [RunMachine.Action] {
    var machine = machine
    return inputs.flatMap { input in
      switch input {
      case .spawned: machine.spawned()
      case .spawnFailed: machine.spawnFailed("no")
      case .elapsed: machine.timerElapsed()
      case .interrupt: machine.interrupt()
      case .emptied: machine.treeEmptied()
      case .ended(let exit, let empty): machine.mainEnded(exit, treeIsEmpty: empty)
      }
    }
  }

  private let machine = RunMachine(timeout: 100, grace: 10)
  private func record(
    _ state: Run.State, _ exit: RunMachine.Exit? = nil, _ reason: String? = nil
  ) -> RunMachine.Action {
    .record(.init(state: state, exit: exit, reason: state == .timedOut ? "after 100us" : reason))
  }

  @Test func success() {
    #expect(
      play(machine, [.spawned, .ended(.exited(0), empty: true)])
        == [.startTimer(100), record(.succeeded, .exited(0)), .release])
  }

  @Test func failureByStatusAndBySignal() {
    for exit in [RunMachine.Exit.exited(3), .killed(9), .dumped(11)] {
      #expect(
        play(machine, [.spawned, .ended(exit, empty: true)]) == [.startTimer(100), record(.failed, exit), .release])
    }
  }

  @Test func whatCountsAsSuccessIsTheHooksChoice() {
    let lenient = RunMachine(timeout: nil, grace: nil, successExitStatus: .init([.status(3), .signal(15)]))
    for exit in [RunMachine.Exit.exited(0), .exited(3), .killed(15)] {
      #expect(play(lenient, [.spawned, .ended(exit, empty: true)]) == [record(.succeeded, exit), .release])
    }
    #expect(play(lenient, [.spawned, .ended(.killed(9), empty: true)]) == [record(.failed, .killed(9)), .release])
  }

  @Test func theResultStandsWhileWhatIsLeftIsEnded() {
    #expect(
      play(machine, [.spawned, .ended(.exited(0), empty: false), .elapsed, .elapsed, .emptied]) == [
        .startTimer(100), record(.succeeded, .exited(0)), .terminate, .startTimer(10), .kill, .startTimer(100_000),
        .kill,
        .startTimer(100_000), .release,
      ])
  }

  @Test func timeoutThenGraceThenKill() {
    #expect(
      play(machine, [.spawned, .elapsed, .elapsed, .ended(.killed(9), empty: false), .emptied]) == [
        .startTimer(100), .terminate, .startTimer(10), .kill, .startTimer(100_000), record(.timedOut, .killed(9)),
        .release,
      ])
  }

  @Test func anObedientScriptTimesOutToo() {
    #expect(
      play(machine, [.spawned, .elapsed, .ended(.exited(0), empty: true)])
        == [.startTimer(100), .terminate, .startTimer(10), record(.timedOut, .exited(0)), .release])
  }

  @Test func aTreeThatIsEmptyBeforeItsMainProcessWasWaitedFor() {
    #expect(
      play(machine, [.spawned, .elapsed, .emptied, .ended(.killed(15), empty: true)])
        == [.startTimer(100), .terminate, .startTimer(10), record(.timedOut, .killed(15)), .release])
  }

  @Test func interruption() {
    #expect(
      play(machine, [.spawned, .interrupt, .ended(.killed(15), empty: true)]) == [
        .startTimer(100), .terminate, .startTimer(10), record(.interrupted, .killed(15), "journalhook ended"), .release,
      ])
    // What has its result already is not interrupted any more.
    #expect(play(machine, [.spawned, .ended(.exited(0), empty: true), .interrupt]).count == 3)
  }

  @Test func infinityAndFailureToStart() {
    let patient = RunMachine(timeout: nil, grace: nil)
    #expect(
      play(patient, [.spawned, .ended(.exited(0), empty: false), .emptied])
        == [record(.succeeded, .exited(0)), .terminate, .release])
    #expect(play(machine, [.spawnFailed, .elapsed, .interrupt]) == [record(.failed, nil, "no"), .release])
  }

  @Test func conditionsComeFirst() {
    let machine = RunMachine(timeout: 100, grace: 10, conditions: 2)
    #expect(
      play(
        machine,
        [
          .spawned, .ended(.exited(0), empty: true), .ended(.exited(0), empty: false), .ended(.exited(3), empty: true),
        ]) == [.startTimer(100), .spawn, .spawn, record(.failed, .exited(3)), .release])
    let verdicts: [(RunMachine.Exit, Run.State, String)] = [
      (.exited(1), .skipped, "ExecCondition= does not hold"), (.exited(254), .skipped, "ExecCondition= does not hold"),
      (.exited(255), .failed, "ExecCondition= failed"), (.killed(9), .failed, "ExecCondition= failed"),
    ]
    for (exit, state, reason) in verdicts {
      #expect(
        play(machine, [.spawned, .ended(exit, empty: true)])
          == [.startTimer(100), record(state, exit, reason), .release])
    }
    // The time is for all commands together.
    #expect(
      play(machine, [.spawned, .ended(.exited(0), empty: true), .elapsed, .ended(.exited(0), empty: true)])
        == [.startTimer(100), .spawn, .terminate, .startTimer(10), record(.timedOut, .exited(0)), .release])
    // What the first has left behind is ended when the second cannot be created.
    var broken = machine
    _ = broken.spawned()
    #expect(broken.mainEnded(.exited(0), treeIsEmpty: false) == [.spawn])
    #expect(
      broken.spawnFailed("no", treeIsEmpty: false) == [record(.failed, nil, "no"), .terminate, .startTimer(10)])
    #expect(broken.treeEmptied() == [.release])
  }
}
