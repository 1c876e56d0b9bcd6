import Systemd
import TestSupport
import Testing

@testable import Hooks
@testable import Lifecycle
@testable import Runs

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
    queue.remove(from: lane("a")) { $0 == 2 }
    #expect(queue.waiting == 1)
    #expect(queue.next()?.run == 1)
    queue.finished(lane("a"))
    queue.enqueue(3, in: lane("a"))
    queue.remove(from: lane("a")) { $0 == 3 }
    #expect(queue.next() == nil && queue.waiting == 0 && queue.underWay == 0)
    queue.enqueue(4, in: lane("a"))
    #expect(queue.next()?.run == 4)
  }

  @Test func whatIsTriedAgainComesFirst() {
    var queue = RunQueue(limit: 10)
    for run in [5, 7, 2, 6] { queue.enqueue(Int64(run), in: lane("a")) }
    var order: [Int64] = []
    while let next = queue.next() {
      order.append(next.run)
      queue.finished(next.lane)
    }
    #expect(order == [2, 5, 6, 7])
  }

  @Test func whatMayNotStartLetsOthersPass() {
    var queue = RunQueue(limit: 10)
    for run in 1...3 { queue.enqueue(Int64(run), in: lane("a")) }
    queue.enqueue(4, in: lane("b"))
    #expect(queue.next { $0 == 3 }?.run == 3)
    queue.finished(lane("a"))
    #expect(queue.next { $0 == 9 } == nil)
    #expect(queue.waiting == 3 && queue.underWay == 0)
    #expect(queue.next()?.run == 4)
    #expect(queue.next()?.run == 1)
  }
}
