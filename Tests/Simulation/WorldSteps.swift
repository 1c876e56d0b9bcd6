internal import CSimulatedDisk
internal import Glibc
internal import SimulatedSystem
internal import Systemd

/// What the steps of a history do.
extension World {
  func apply(_ step: Step, hookSets: [HookSet]) {
    var chance = Chance(step.seed)
    hasTrouble = hasTrouble || step.kind.isTrouble
    switch step.kind {
    case .unit: answers.act(&chance)
    case .startFollow:
      isFollowWanted = true
      startFollow()
    case .killFollow: kill(follow)
    case .endFollow:
      isFollowWanted = !chance.once(in: 2)
      follow?.host.processLoop.send(SIGTERM)
    case .reloadFollow: follow?.host.processLoop.send(SIGHUP)
    case .killWriting:
      for process in [follow].compactMap(\.self) + replays {
        simdisk_kill_after(disk.handle, process.owner, 1 + UInt64(chance.below(60)))
      }
    case .startReplay: startReplay()
    case .killReplay: kill(replays.first)
    case .endReplay:
      replays.first?.mayFail = true
      replays.first?.host.processLoop.send(SIGTERM)
    case .otherHooks: hookSet = hookSets[chance.below(hookSets.count)]
    case .reboot: answers.reboot()
    case .powerCut:
      answers.crash()
      journald.losePower()
      simdisk_power_cut(disk.handle, chance.next())
      hooks.epoch += 1
      noteFinished()
    case .setClock: clock.jump(by: (chance.once(in: 2) ? 1 : -1) * Int64(chance.time(upTo: 7_200_000_000)))
    case .stallJournald: journald.stall(for: chance.time(upTo: 5_000_000))
    case .killJournald: journald.kill()
    case .rotate: journald.rotate()
    case .vacuum: journald.vacuum(keeping: chance.below(30))
    case .flush: journald.flush()
    case .readError: processes.forEach { $0.host.readErrors = 1 + chance.below(3) }
    case .diskError:
      let kinds = [SIMDISK_READ, SIMDISK_WRITE, SIMDISK_SYNC, SIMDISK_LOCK]
      simdisk_fail(disk.handle, kinds[chance.below(kinds.count)], 1 + UInt64(chance.below(8)), 10, 1)
    case .diskFull:
      simdisk_limit(disk.handle, simdisk_used(disk.handle) + UInt64(chance.below(20_000)))
      clock.after(chance.time(upTo: 10_000_000)) { [unowned self] in simdisk_limit(disk.handle, 0) }
    case .diskLocked:
      simdisk_hold(disk.handle, SIMDISK_HOLD_WRITING)
      clock.after(chance.time(upTo: 10_000_000)) { [unowned self] in simdisk_hold(disk.handle, SIMDISK_HOLD_NOTHING) }
    case .hookError: processes.forEach { $0.host.runs?.errors = 1 + chance.below(4) }
    case .closeBus: processes.forEach { $0.host.disconnect() }
    }
    reap()
    clock.advance(by: step.pause)
  }

  private func kill(_ process: SimulatedProcess?) { process?.host.isDead = true }

  /// All works again, `follow` runs, and everything comes to its end.
  func settle() {
    isFollowWanted = true
    simdisk_clear_faults(disk.handle)
    simdisk_limit(disk.handle, 0)
    simdisk_hold(disk.handle, SIMDISK_HOLD_NOTHING)
    var quiet = 0
    for _ in 0..<400 {
      clock.advance(by: 5_000_000)
      quiet += 1
      if manager.boot.isOff || answers.isBusy { quiet = 0 }
      if follow == nil { startFollow() }
      if !replays.isEmpty || follow == nil || openRuns > 0 { quiet = 0 }
      if quiet == 4 { return }
    }
    faults.append("after 2000 s there are still \(openRuns) open runs, \(replays.count) replays")
  }
}

extension World {
  /// Replays all that the journal has: nothing of it may be new.
  func replayAll() {
    let replay = SimulatedProcess(replay: self, since: 0, owner: nextOwner(), hooks: hookSet, seed: chance.next())
    lastReplay = replay.name
    start(replay)
    for _ in 0..<100 where !replays.isEmpty { clock.advance(by: 5_000_000) }
    if !replays.isEmpty { faults.append("the last replay does not end") }
    // A timer may have started something in between.
    for _ in 0..<100 where openRuns > 0 || !hooks.isEmpty { clock.advance(by: 1_000_000) }
  }
}
