internal import JournalHookCore
internal import Systemd

extension HookDefinition {
  /// The keys that are understood, but not obeyed yet. To run a hook without them could do what its author has ruled out
  /// (as root what is for `User=`, or against its condition), so it is not run at all.
  var unsupportedKeys: [String] {
    let initial = HookDefinition()
    let keys: [(name: String, isUsed: Bool)] = [
      ("RetryCount=", retryCount != initial.retryCount),
      ("SettleSec=", settle != initial.settle),
      ("RerunInterrupted=", rerunInterrupted != initial.rerunInterrupted),
      ("ExecCondition=", !execConditions.isEmpty),
      ("Condition…=", !conditions.isEmpty),
      ("OnHookFailure=", onHookFailure != nil),
    ]
    return keys.filter(\.isUsed).map(\.name)
  }
}
