import Systemd
import TestSupport
import Testing

@testable import Lifecycle

@Suite struct RestartPairingTests {
  private func stopped(byRestartJob isByJob: Bool) -> LifecycleEvent { event(.stopped, restartJob: isByJob) }

  @Test func aStartByTheSameJobContinuesTheRestart() {
    var pairing = RestartPairing()
    #expect(!pairing.isContinued(by: nil) && !pairing.isContinued(by: 7))
    pairing.begin(by: 7)
    #expect(pairing.isContinued(by: 7) && pairing.isContinued(by: nil) && !pairing.isContinued(by: 8))
    // Before systemd 240 jobs have no number.
    pairing.begin(by: nil)
    #expect(pairing.isContinued(by: nil) && !pairing.isContinued(by: 8))
  }

  /// What went down, whether a restart job or `Restart=` brings the unit back, and what the start is then.
  @Test(arguments: [
    (isDown: false, byJob: false, automatic: false, restarted: false, answers: false),
    (isDown: true, byJob: false, automatic: false, restarted: false, answers: false),
    (isDown: true, byJob: true, automatic: false, restarted: true, answers: true),
    (isDown: true, byJob: false, automatic: true, restarted: true, answers: false),
    (isDown: false, byJob: false, automatic: true, restarted: false, answers: false),
  ])
  func aStartAnswers(isDown: Bool, byJob: Bool, automatic: Bool, restarted: Bool, answers: Bool) {
    var pairing = RestartPairing()
    if byJob { pairing.begin(by: 7) }
    if isDown { pairing.note(stopped(byRestartJob: byJob)) }
    pairing.isAutomatic = automatic
    let answer = pairing.comeUp(isContinued: byJob)
    #expect(answer == .init(isRestarted: restarted, isByJob: answers, isAutomatic: automatic))
    // It is answered once.
    #expect(pairing.comeUp(isContinued: true) == .init(isRestarted: false, isByJob: false, isAutomatic: false))
    #expect(pairing.fail() == nil)
  }

  @Test func aRestartThatFailsOwesAStop() throws {
    var pairing = RestartPairing()
    pairing.begin(by: 7)
    pairing.note(stopped(byRestartJob: true))
    let failed = pairing.fail()
    let owed = try #require(failed)
    #expect(owed.kind == .stopped && owed.restartJob == false && owed.source == .restartFailed && owed.id != "0")
    #expect(!pairing.isContinued(by: 7))
    #expect(pairing.fail() == nil, "once")
    // A stop that was no restart job's owes nothing.
    pairing.note(stopped(byRestartJob: false))
    #expect(pairing.fail() == nil)
  }
}
