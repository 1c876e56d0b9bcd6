import SimulatedSystem
import Systemd
import TestSupport

@testable import Lifecycle

/// What service managers of several versions say about several units: lives as they are, with entries lost, and entries
/// that no manager would write.
struct EntryGenerator {
  /// What the entries of a version tell.
  enum Version: CaseIterable {
    /// 219–234: job results only; failures by text, behind the job's end.
    case old
    /// el8's 239: job types, but no numbers.
    case el8
    /// 240–253.
    case recent
    /// 254 and later: no UNIT_STOPPED in automatic restarts.
    case newest
  }

  private struct Unit {
    var name: String
    /// The number of its invocation.
    var invocation = 0
    /// The invocations of its last entries.
    var said: (now: Int, before: Int) = (0, 0)
    /// What its manager will say next.
    var script: [Draft] = []
  }

  private struct Machine {
    var name: String
    var version: Version
    var boot = 0
    var bootName = "b0"
    var clock: UInt64 = 1_000_000
    var jobs: UInt32 = 0
    var units: [Unit]
  }

  /// An entry before it is said.
  private struct Draft {
    var kind: ManagerEntry.Kind
    var job: LifecycleEvent.Job?
    var result: String?
    /// Begins the unit's next invocation.
    var isBirth = false
    var message = "Started it."
  }

  private var numbers: SeededNumbers
  private var machines: [Machine]
  private var count = 0

  init(seed: UInt64) {
    numbers = SeededNumbers(seed: seed)
    machines = Version.allCases.enumerated().map { index, version in
      Machine(name: "m\(index)", version: version, units: (0..<8).map { Unit(name: "u\($0).service") })
    }
  }

  mutating func next() -> ManagerEntry {
    let place = numbers.below(machines.count)
    var machine = machines[place]
    defer { machines[place] = machine }
    if numbers.isOne(in: 3000) {
      machine.boot += 1
      machine.bootName = "b\(machine.boot)"
      machine.clock = numbers.isOne(in: 20) ? .max - 200_000 : 1_000_000
      for index in machine.units.indices {
        machine.units[index].script = []
        let invocation = machine.units[index].invocation
        machine.units[index].said = (invocation, invocation)
      }
    }
    let pause = numbers.isOne(in: 6) ? 20_000 + UInt64(numbers.below(130_000)) : 700
    machine.clock = machine.clock > .max - pause ? 1 : machine.clock + pause

    let index = numbers.below(machine.units.count)
    var unit = machine.units[index]
    defer { machine.units[index] = unit }
    // Lost entries.
    while unit.script.isEmpty || numbers.isOne(in: 25) {
      if unit.script.isEmpty {
        machine.jobs &+= 2
        unit.script = life(of: machine.version, job: machine.jobs)
      } else {
        if unit.script.removeFirst().isBirth { unit.invocation += 1 }
      }
    }
    let draft = numbers.isOne(in: 8) ? nonsense(machine.version) : unit.script.removeFirst()
    if draft.isBirth { unit.invocation += 1 }
    // Invocations follow each other, and an entry of the one before comes late at most.
    var invocation: Int? = unit.invocation
    if machine.version == .old || numbers.isOne(in: 60) {
      invocation = nil
    } else if numbers.isOne(in: 40) {
      invocation = unit.said.before
    } else if unit.said.now != unit.invocation {
      unit.said = (unit.invocation, unit.said.now)
    }
    return entry(draft, unit: unit.name, invocation: invocation.map { "\(machine.boot)-\($0)" }, machine: machine)
  }

  private mutating func entry(_ draft: Draft, unit: String, invocation: String?, machine: Machine) -> ManagerEntry {
    count += 1
    return ManagerEntry(
      kind: draft.kind, unit: unit, manager: .system, machine: machine.name, hostname: nil,
      boot: machine.bootName, realtime: UInt64(count), monotonic: machine.clock, cursor: "",
      invocation: invocation, job: draft.job, result: draft.result,
      exitCode: draft.kind == .mainProcessExit ? "killed" : nil, exitStatus: nil,
      nRestarts: draft.kind == .restartScheduled ? .max : nil, message: draft.message)
  }

  // MARK: Lives

  private mutating func life(of version: Version, job: UInt32) -> [Draft] {
    let isOld = version == .old
    let id: UInt32? = version == .recent || version == .newest ? job : nil
    func end(_ kind: ManagerEntry.Kind, _ type: String, _ result: String, id: UInt32?) -> Draft {
      Draft(kind: kind, job: .init(id: id, type: isOld ? nil : type, result: result))
    }
    func begin(_ kind: ManagerEntry.Kind, _ type: String) -> Draft {
      Draft(kind: kind, job: id.map { .init(id: $0, type: type) })
    }
    func failure(_ result: String) -> [Draft] { [Draft(kind: .failureResult, result: isOld ? nil : result)] }
    let succeeded = isOld ? [] : [Draft(kind: .success)]
    let isSimple = numbers.isOne(in: 2)
    var start = isSimple ? [] : [begin(.starting, "start")]
    start.append(end(.started, "start", "done", id: id))
    start[0].isBirth = true
    let exit = Draft(kind: .mainProcessExit, result: "signal")
    let stop = [begin(.stopping, "stop")] + succeeded
    let restartEnd = end(.stopped, "restart", "done", id: id)
    let stopEnd = end(.stopped, "stop", "done", id: id)
    var scheduled = [Draft(kind: .restartScheduled)]
    if version != .newest { scheduled.append(restartEnd) }

    switch numbers.below(16) {
    case 0, 1: return start + stop + [stopEnd]
    case 2, 3: return start + stop + [restartEnd] + start
    case 4: return start + [exit] + failure("signal") + scheduled + start
    case 5: return start + succeeded + scheduled + start
    case 6: return start + stop  // The job is replaced or canceled.
    case 7:
      // The start fails.
      let failed = [end(.startFailed, "start", "failed", id: id)]
      var starting = begin(.starting, "start")
      starting.isBirth = true
      let told = isOld ? failed + failure("exit-code") : failure("exit-code") + failed
      return stop + [restartEnd, starting, exit] + told
    case 8:
      let limit = [Draft(kind: .startLimitHit)]
      let failed = [end(.startFailed, "start", "failed", id: id)]
      return limit + (isOld ? failed + failure("") : failure("start-limit-hit") + failed)
    case 9:
      var starting = begin(.starting, "start")
      starting.isBirth = true
      return [starting] + succeeded + [end(.started, "start", "done", id: id)]
    case 10:
      var skipped = end(.started, "start", "done", id: id)
      skipped.message = "It was skipped because of rain."
      return isOld ? [] + start : [skipped]
    case 11: return start + [begin(.reloading, "reload"), end(.reloaded, "reload", "done", id: id)]
    case 12:
      // A restart, and a stop, of a unit without a process.
      return start + succeeded + [restartEnd, begin(.stopping, "stop")] + start
    case 13: return start + succeeded + [stopEnd]
    case 14: return start + stop + [exit] + failure("timeout") + [stopEnd]
    default: return [end(.startFailed, "start", "dependency", id: id)]
    }
  }

  private mutating func nonsense(_ version: Version) -> Draft {
    let kinds: [ManagerEntry.Kind] = [
      .starting, .started, .startFailed, .stopping, .stopped, .reloading, .reloaded, .restartScheduled, .success,
      .failureResult, .mainProcessExit, .failureHint, .skipped, .outOfMemory, .startLimitHit,
    ]
    let results = ["done", "failed", "timeout", "canceled", "dependency", "frozen", "concurrency", "once", "collected"]
    var job: LifecycleEvent.Job?
    if !numbers.isOne(in: 4) {
      job = .init(
        id: numbers.isOne(in: 3) ? nil : UInt32.random(in: 0...9, using: &numbers),
        type: ["start", "stop", "restart", nil].randomElement(using: &numbers) ?? nil,
        result: numbers.isOne(in: 4) ? nil : results.randomElement(using: &numbers))
    }
    return Draft(
      kind: kinds.randomElement(using: &numbers) ?? .success, job: job,
      result: [nil, "signal", "timeout", "start-limit-hit", "", "success"].randomElement(using: &numbers) ?? nil,
      isBirth: numbers.isOne(in: 5))
  }
}
