internal import SimulatedSystem
internal import Systemd

/// The time of an invented machine, and what happens at which time.
///
/// Nothing waits: `advance` goes from one due call to the next.
final class WorldClock: SimulatedClock {
  /// CLOCK_MONOTONIC, in microseconds since the boot.
  private(set) var monotonic: UInt64 = 20_000_000
  /// CLOCK_REALTIME at the boot, in microseconds since 1970. It changes when the clock is set.
  private var epoch: UInt64 = 1_790_000_000_000_000
  /// All the time that has passed, in microseconds.
  private(set) var passed: UInt64 = 0
  private var queue = TimerQueue()
  /// Calls that nobody holds, by their numbers.
  private var held: [UInt64: Timer] = [:]
  private var count: UInt64 = 0
  /// Called after each call: objects of processes that have died in it can be given up now.
  var afterCall: () -> Void = {}

  init() {}

  var realtime: UInt64 { epoch &+ monotonic }

  func makeTimer(at time: UInt64, _ action: @escaping () -> Void) -> Timer {
    queue.makeTimer(
      at: max(time, monotonic), accuracy: 0, onCancel: { [weak self] in self?.queue.remove($0) }, action)
  }

  /// Calls after a delay in microseconds, unless the machine boots before.
  func after(_ delay: UInt64, _ action: @escaping () -> Void) {
    count += 1
    let number = count
    held[number] = makeTimer(at: monotonic &+ delay) { [unowned self] in
      // The timer lives until its call is over.
      let timer = held.removeValue(forKey: number)
      withExtendedLifetime(timer, action)
    }
  }

  /// Lets time pass, with all that happens in it.
  func advance(by delay: UInt64) {
    let end = passed + delay
    while let next = queue.next, passed + (max(next.time, monotonic) - monotonic) <= end {
      move(to: next.time)
      queue.takeDue(now: monotonic)?.fire()
      afterCall()
    }
    move(to: monotonic + (end - passed))
  }

  private func move(to time: UInt64) {
    guard time > monotonic else { return }
    passed += time - monotonic
    monotonic = time
  }

  /// Sets CLOCK_REALTIME forward or back.
  func jump(by microseconds: Int64) { epoch = UInt64(Int64(epoch) + microseconds) }

  /// The machine boots: what was to happen does not happen, and CLOCK_MONOTONIC begins anew.
  func boot() {
    held = [:]
    epoch = realtime - WorldClock.bootTime
    monotonic = WorldClock.bootTime
  }

  /// When the manager begins, in microseconds since the boot.
  private static let bootTime: UInt64 = 1_000_000
}

/// The timers of one simulated process.
final class ProcessTimers: Timers {
  private let clock: WorldClock

  init(_ clock: WorldClock) { self.clock = clock }

  var monotonic: UInt64 { clock.monotonic }
  var realtime: UInt64 { clock.realtime }

  func call(at time: UInt64, accuracy: UInt64, _ action: @escaping () -> Void) -> Timer {
    clock.makeTimer(at: time, action)
  }

  func callSoon(_ action: @escaping () -> Void) -> Timer { clock.makeTimer(at: monotonic, action) }
}
