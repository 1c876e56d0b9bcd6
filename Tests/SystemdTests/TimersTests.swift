import Testing

@testable import Systemd

@Suite struct TimersTests {
  @Test func timersAreCalledInTheOrderInWhichTheyAreDue() throws {
    let loop = try EventLoop()
    let timers = try LoopTimers(loop)
    var called: [Int] = []
    let now = timers.monotonic
    var kept: [Timer] = []
    for (number, delay) in [(3, 3000), (1, 1000), (2, 2000), (20, 2000), (4, 4000)] as [(Int, UInt64)] {
      kept.append(timers.call(at: now + delay, accuracy: 1) { called.append(number) })
    }
    kept[2].cancel()
    _ = timers.call(at: now + 1, accuracy: 1) { called.append(99) }
    kept.append(timers.call(at: now + 5000, accuracy: 1) { loop.exit(0) })
    _ = try loop.run()
    #expect(called == [1, 20, 3, 4])
  }

  @Test func aCallForTheNextRoundWaitsForIt() throws {
    let loop = try EventLoop()
    let timers = try LoopTimers(loop)
    var count = 0
    var kept: [Timer] = []
    func again() {
      count += 1
      if count < 100 { kept.append(timers.callSoon(again)) } else { loop.exit(0) }
    }
    kept.append(timers.callSoon(again))
    kept.append(timers.callSoon { count += 1000 })
    kept.removeLast()
    #expect(count == 0)
    _ = try loop.run()
    #expect(count == 100)
  }

  @Test func aTimerMayMakeCancelAndReplaceOthers() throws {
    let loop = try EventLoop()
    let timers = try LoopTimers(loop)
    var called: [String] = []
    var other: Timer?
    var own: Timer?
    let now = timers.monotonic
    own = timers.call(at: now + 1000, accuracy: 1) {
      called.append("own")
      own = timers.call(in: 1000, accuracy: 1) {
        called.append("again")
        loop.exit(0)
      }
      other = nil
    }
    other = timers.call(at: now + 1000, accuracy: 1) { called.append("other") }
    _ = try loop.run()
    #expect(called == ["own", "again"])
    #expect(other == nil && own != nil)
  }

  @Test func thousandsOfReleasedTimersLeaveNothing() {
    var queue = TimerQueue()
    var removed: [UInt64] = []
    do {
      var timers: [Timer] = []
      for time in (0..<5000 as Range<UInt64>).shuffled() {
        timers.append(queue.makeTimer(at: time, accuracy: 0, onCancel: { removed.append($0.number) }) {})
      }
      #expect(queue.next?.time == 0)
      #expect(queue.takeDue(now: 0)?.time == 0 && queue.takeDue(now: 0) == nil)
      #expect(queue.takeDue(now: 7)?.time == 1)
      for timer in timers where timer.time >= 2 { queue.remove(timer) }
      #expect(queue.next == nil)
    }
    #expect(removed.count == 5000)
  }
}
