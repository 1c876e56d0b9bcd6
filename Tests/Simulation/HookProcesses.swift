internal import Hooks
internal import Lifecycle
internal import Runs
internal import Systemd

/// The processes of hooks on the simulated machine, and what they have done.
///
/// A hook's process outlives the journalhook that has created it, unless somebody ends it.
final class HookProcesses {
  /// What a hook has done.
  enum Deed: Sendable, Equatable {
    case begin, end
  }

  /// One line of what the hooks themselves would have written down.
  struct Line: Sendable {
    var deed: Deed
    /// The process of journalhook that has started it.
    var by: String
    var run: Int64
    var attempt: Int
    var hook: String
    var event: LifecycleEvent
    /// The ledger's life: it counts the power cuts.
    var epoch: Int
    /// When, in microseconds since the boot.
    var monotonic: UInt64
  }

  /// A process of a hook.
  final class Process {
    let run: Run
    let hook: String
    let place: String
    /// How it will end by itself.
    var exit = RunMachine.Exit.exited(0)
    var isAlive = true
    /// Whether it ignores SIGTERM.
    var isStubborn = false
    let creator: String
    /// Called when it ends. Only its creator waits for it.
    var onEnd: ((RunMachine.Exit) -> Void)?
    var timer: Timer?

    init(_ run: Run, place: String, by creator: String) {
      self.creator = creator
      self.run = run
      self.place = place
      hook = run.hook
    }
  }

  private(set) var lines: [Line] = []
  /// What must not happen and did.
  private(set) var faults: [String] = []
  private var living: [Process] = []
  private let clock: WorldClock
  private var chance: Chance
  /// How many power cuts there were.
  var epoch = 0
  /// Called when a hook acts.
  var onAct: (Run) -> Void = { _ in }

  init(clock: WorldClock, seed: UInt64) {
    self.clock = clock
    chance = Chance(seed)
  }

  /// Whether no process of a hook is left.
  var isEmpty: Bool { living.isEmpty }

  /// Creates the process of an attempt.
  ///
  /// - Parameter isParallel: whether others of the unit may run meanwhile.
  func spawn(_ run: Run, place: String, by creator: String, fails: Bool, isParallel: Bool) -> Process {
    for other in living where other.run.event.unit == run.event.unit && !isParallel && !isParallelHook(other.hook) {
      faults.append(
        "run \(run.id) of \(run.hook) begins while attempt \(other.run.attempt) of run \(other.run.id) of \(other.hook) runs: "
          + "both are for \(run.event.unit)")
    }
    let process = Process(run, place: place, by: creator)
    lines.append(
      Line(
        deed: .begin, by: creator, run: run.id, attempt: run.attempt, hook: run.hook, event: run.event, epoch: epoch,
        monotonic: clock.monotonic))
    living.append(process)
    if isParallel { parallelHooks.insert(run.hook) }
    process.exit = .exited(fails ? 1 : 0)
    // A few hang, so that TimeoutSec= has to end them.
    let hangs = chance.once(in: 40)
    process.isStubborn = hangs && chance.once(in: 2)
    if !hangs {
      process.timer = clock.makeTimer(at: clock.monotonic + 500 + chance.time(upTo: 3_000_000)) {
        [unowned self, process] in
        onAct(process.run)
        end(process, process.exit)
      }
    }
    return process
  }

  private var parallelHooks: Set<String> = []
  private func isParallelHook(_ name: String) -> Bool { parallelHooks.contains(name) }

  private func end(_ process: Process, _ exit: RunMachine.Exit) {
    guard process.isAlive else { return }
    process.isAlive = false
    process.timer = nil
    living.removeAll { $0 === process }
    lines.append(
      Line(
        deed: .end, by: process.creator, run: process.run.id, attempt: process.run.attempt, hook: process.hook,
        event: process.run.event, epoch: epoch, monotonic: clock.monotonic))
    process.onEnd?(exit)
  }

  /// Sends a signal to what is in a place.
  func kill(_ place: String, with signal: CInt) {
    for process in living where process.place == place && (signal == 9 || !process.isStubborn) {
      process.timer = clock.makeTimer(at: clock.monotonic + chance.time(upTo: 2000)) { [unowned self, process] in
        end(process, .killed(signal))
      }
    }
  }

  /// Ends what is in a place, at once.
  func killNow(_ place: String) {
    for process in living where process.place == place { end(process, .killed(9)) }
  }

  /// The machine stops.
  func powerOff() {
    for process in living { process.timer = nil }
    living = []
  }
}
