internal import Systemd

/// How the machine boots and goes down.
extension SimulatedManager {
  /// Switches the machine on.
  package func powerOn() {
    guard boot.isOff else { return }
    let number = boot.number + 1
    boot = Boot()
    boot.number = number
    boot.id = numbers.id()
    boot.isOff = false
    boot.fields = [
      .init("_TRANSPORT", "journal"), .init("_PID", "1"), .init("_UID", "0"), .init("_GID", "0"),
      .init("_COMM", "systemd"), .init("_SYSTEMD_UNIT", "init.scope"), .init("_MACHINE_ID", machine.id),
      .init("_BOOT_ID", boot.id), .init("_HOSTNAME", machine.hostname),
    ]
    outputs.onBoot(boot.id)
    facts.append(TrueFact(unit: "", kind: .booted, boot: boot.id, monotonic: clock.monotonic))
    later(100_000...900_000) { [unowned self] in
      for unit in units where unit.has(.isEnabled) { enqueue(.start, unit) }
    }
  }

  /// Switches the machine off without a word, and has it boot again after a while.
  package func crash() {
    guard !boot.isOff else { return }
    for unit in units {
      breakRestart(of: unit, told: nil)
      unit.forget()
      unit.truth = UnitTruth()
    }
    queues = Queues()
    boot.isOff = true
    outputs.onPowerOff()
    clock.after(numbers.among(1_000_000...20_000_000)) { [weak self] in self?.powerOn() }
  }

  /// Stops the units, as far as there is time, and reboots.
  package func reboot() {
    turn { [unowned self] in
      guard !boot.isOff, !boot.isGoingDown else { return }
      boot.isGoingDown = true
      sayText("Shutting down.")
      for unit in units where !unit.active.isDown || unit.job != nil { enqueue(.stop, unit) }
      later(50_000...2_000_000) { [unowned self] in crash() }
    }
  }

  /// Executes the manager anew (`systemctl daemon-reexec`): it keeps its jobs and units, but not its connections.
  package func reexecute() {
    turn { [unowned self] in
      guard !boot.isOff else { return }
      sayText("Reexecuting.")
      let time = numbers.among(50_000...800_000)
      boot.busyUntil = clock.monotonic + time
      outputs.onSignal(.connectionLost)
      later(1...1) { [unowned self] in outputs.onSignal(.connectionBack) }
    }
  }

  /// Says something that is about no unit.
  func sayText(_ text: String) {
    send([.init("PRIORITY", "5"), .init("SYSLOG_IDENTIFIER", "systemd"), .init("MESSAGE", text)])
  }
}
