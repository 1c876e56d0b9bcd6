internal import Hooks
internal import RunLedger
internal import Runs
internal import Systemd

/// The run that answers a failure (`OnHookFailure=`).
enum FailureAnswer {
  /// What follows a final failure: the run of the hook that `OnHookFailure=` names, or why there is none.
  static func find(
    to run: Run, _ definition: HookDefinition, _ host: any RunHost, _ ledger: Ledger
  ) -> RunConsequence {
    guard let name = definition.onHookFailure else { return .final }
    if let reason = host.absence(of: name) { return .unanswered(reason) }
    // The hooks whose failures have led to this one, the oldest first: none of them answers again, or it would never end.
    let chain = (try? ledger.failureChain(of: run.id)) ?? [run.failed?.hook, run.hook].compactMap { $0 }
    if chain.contains(name) {
      return .unanswered(
        "its OnHookFailure= closes the cycle \((chain + [name]).joined(separator: " → ")), which ends here")
    }
    var answer = PlannedRun(event: run.event, hook: name, mode: run.mode)
    answer.cause = run.id
    answer.isParallel = host.definition(of: name)?.parallel ?? false
    return .mended(by: answer)
  }
}

extension RunExecutor {
  /// Has failures answered that were found after a crash.
  func answer(failures: [Int64]) throws {
    for run in try failures.flatMap({ try ledger.runs(where: "id = ?", [.integer($0)]) }) {
      guard let definition = host.definition(of: run.hook) else { continue }
      switch FailureAnswer.find(to: run, definition, host, ledger) {
      case .mended(let planned): try ledger.answer(run, by: planned, owner: owner, now: timers.realtime)
      case .unanswered(let reason):
        reporter.say(
          "The failure of run \(run.id) of hook \(run.hook) is not answered: \(reason).", .runFailed, priority: .error)
      default: continue
      }
    }
  }
}
