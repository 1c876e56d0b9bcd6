/// How far following has come.
enum FollowPhase: Equatable {
  /// The hooks were not read completely yet; nothing is read from the journal.
  case waitingForHooks
  /// Until the end of the journal was reached for the first time.
  case catchingUp
  case following
  /// No more runs begin.
  case draining
}
