import Testing

@testable import JournalHookCore

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
  ) -> RunMachine.Action { .record(.init(state: state, exit: exit, reason: reason)) }

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
}

@Suite struct RunQueueTests {
  private func lane(_ unit: String, hook: String? = nil) -> RunQueue.Lane {
    .init(machine: "m", unit: unit, hook: hook)
  }

  @Test func oneAtATimePerLaneInOrder() {
    var queue = RunQueue(limit: 10)
    for run in 1...3 { queue.enqueue(Int64(run), in: lane("a")) }
    queue.enqueue(4, in: lane("b"))
    #expect(queue.next()?.run == 1)
    #expect(queue.next()?.run == 4)
    #expect(queue.next() == nil)
    queue.finished(lane("a"))
    #expect(queue.next()?.run == 2)
    queue.finished(lane("a"))
    queue.finished(lane("b"))
    #expect(queue.next()?.run == 3)
    #expect(queue.waiting == 0 && queue.underWay == 1)
  }

  @Test func theLimitHoldsAndTurnsAreFair() {
    var queue = RunQueue(limit: 2)
    for run in 0..<6 { queue.enqueue(Int64(run), in: lane("\(run % 3)")) }
    #expect(queue.next()?.run == 0)
    #expect(queue.next()?.run == 1)
    #expect(queue.next() == nil)
    queue.finished(lane("0"))
    #expect(queue.next()?.run == 2)
    queue.finished(lane("1"))
    #expect(queue.next()?.run == 3)
  }

  @Test func parallelHooksHaveLanesOfTheirOwn() {
    var queue = RunQueue(limit: 10)
    queue.enqueue(1, in: lane("a"))
    queue.enqueue(2, in: lane("a", hook: "p"))
    queue.enqueue(3, in: lane("a", hook: "p"))
    #expect(queue.next()?.run == 1)
    #expect(queue.next()?.run == 2)
    #expect(queue.next() == nil)
  }

  @Test func whatWaitsCanBeTakenOut() {
    var queue = RunQueue(limit: 10)
    queue.enqueue(1, in: lane("a"))
    queue.enqueue(2, in: lane("a"))
    queue.remove(2, from: lane("a"))
    #expect(queue.waiting == 1)
    #expect(queue.next()?.run == 1)
    queue.finished(lane("a"))
    queue.enqueue(3, in: lane("a"))
    queue.remove(3, from: lane("a"))
    #expect(queue.next() == nil && queue.waiting == 0 && queue.underWay == 0)
    queue.enqueue(4, in: lane("a"))
    #expect(queue.next()?.run == 4)
  }
}

@Suite struct SHA256Tests {
  // The vectors of FIPS 180-4's example documents, and one for each place where the padding turns.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
  ])
  func hashes(_ text: String, _ digest: String) {
    var hash = SHA256()
    hash.update(text)
    #expect(hash.hexadecimalDigest() == digest)
  }

  @Test func hashesInParts() {
    for length in 0..<130 {
      var whole = SHA256()
      var parts = SHA256()
      whole.update(String(repeating: "x", count: 70 + length))
      parts.update(String(repeating: "x", count: 70))
      parts.update(String(repeating: "x", count: length))
      #expect(parts.hexadecimalDigest() == whole.hexadecimalDigest())
    }
  }
}
