/// What people and processes do to units.
package enum Operation: CaseIterable, Sendable {
  case start, stop, restart, tryRestart, reload, cancel
  case killTERM, killKILL, exitWell, exitBadly, outOfMemory
  case mountByHand, unmountByHand
}

extension SimulatedManager {
  /// Does something to a unit, if it makes sense.
  ///
  /// - Returns: whether it did.
  @discardableResult package func perform(_ operation: Operation, on name: String) -> Bool {
    guard let unit = unit(name), !boot.isOff else { return false }
    if clock.monotonic < boot.busyUntil {
      // Who asks has to wait.
      later(1...1) { [unowned self] in perform(operation, on: name) }
      return true
    }
    var isDone = false
    turn { isDone = perform(operation, on: unit) }
    return isDone
  }

  private func perform(_ operation: Operation, on unit: SimulatedUnit) -> Bool {
    // During shutdown systemd refuses jobs that start something.
    let mayStart = !boot.isGoingDown
    switch operation {
    case .start where mayStart: enqueue(.start, unit)
    case .stop: enqueue(.stop, unit)
    case .restart where mayStart: enqueue(.restart, unit)
    case .tryRestart where mayStart && (unit.active.isUp || unit.active == .activating): enqueue(.restart, unit)
    case .reload where unit.has(.canReload) && unit.description.kind.isService && unit.active.isUp:
      guard unit.job == nil || unit.job?.kind == .reload else { return false }
      enqueue(.reload, unit)
    case .cancel:
      guard let job = unit.job else { return false }
      finish(job, .canceled)
    case .killTERM, .killKILL, .exitWell, .exitBadly, .outOfMemory: return performOnProcess(operation, unit)
    case .mountByHand, .unmountByHand: return performOnMount(operation, unit)
    default: return false
    }
    return true
  }

  private func performOnProcess(_ operation: Operation, _ unit: SimulatedUnit) -> Bool {
    guard unit.process.isAlive else { return false }
    switch operation {
    case .killTERM: mainIsKilled(unit, by: 15)
    case .killKILL:
      if numbers.isOne(in: 2) { say(.sentSignal, unit) }
      mainIsKilled(unit, by: 9)
    case .exitWell: mainExits(unit, status: 0)
    case .exitBadly: mainExits(unit, status: 1)
    default:
      note(.outOfMemory, unit, told: say(.outOfMemory, unit))
      // Otherwise the kernel has killed another process of the unit, and OOMPolicy=continue.
      if numbers.isOne(in: 2) { mainIsKilled(unit, by: 9, because: .oomKill) }
    }
    return true
  }

  /// What mount(8) and umount(8) do is told by the manager only as far as the unit ends.
  private func performOnMount(_ operation: Operation, _ unit: SimulatedUnit) -> Bool {
    guard unit.description.kind == .mount, unit.job == nil else { return false }
    switch (operation, unit.state) {
    case (.mountByHand, .dead), (.mountByHand, .failed):
      begin(unit)
      setState(unit, .active)
    case (.unmountByHand, .active): endMount(unit, .success)
    default: return false
    }
    return true
  }

  /// Does something that makes sense now.
  package func doSomething(using numbers: inout SeededNumbers) {
    guard !boot.isOff else { return }
    switch numbers.below(1000) {
    case 0: crash()
    case 1...2: reboot()
    case 3...6: reexecute()
    case 7...200: makeNoise(using: &numbers)
    default:
      // Most do nothing at this moment: another is tried then.
      for _ in 0..<8 {
        let unit = numbers.pick(units)
        guard perform(numbers.pick(Self.likely), on: unit.name) else { continue }
        // Some people cannot wait.
        if numbers.isOne(in: 3) {
          let next = numbers.pick(Self.likely)
          let delay = numbers.pick([300, 3000, 30_000] as [UInt64])
          later(1...delay) { [unowned self] in perform(next, on: unit.name) }
        }
        return
      }
    }
  }

  /// More often what happens more often.
  private static let likely: [Operation] =
    Operation.allCases + [.start, .start, .start, .stop, .restart, .restart, .reload, .killKILL, .exitBadly]
}
