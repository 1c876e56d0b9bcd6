package import HookFiles
package import Hooks
package import Runs

/// An attempt at a run, from the check of its hook until nothing of it is left.
///
/// This and `RunHost` are where the daemon meets the kernel: a simulation puts its own in their place.
package protocol RunAttempt: AnyObject {
  var run: Run { get }
  /// The hook's definition, as it was when the attempt was prepared.
  var definition: HookDefinition { get }
  /// Called once with what became of it.
  var onOutcome: ((RunMachine.Outcome) -> Void)? { get set }
  /// Called once when nothing of it is left.
  var onRelease: (() -> Void)? { get set }

  /// The condition that keeps the run from beginning; nil if there is none.
  ///
  /// - Throws: why a condition could not be checked.
  func unmetCondition() throws -> String?

  /// Makes the place that is to hold its processes.
  ///
  /// - Returns: what the ledger keeps of it, so that after a crash what is left there can be ended.
  func makePlace() throws -> String

  /// Creates the first process. From then on `onOutcome` and `onRelease` are called.
  func begin() throws

  /// Gives up its place, without a process in it.
  func discard()

  /// Ends it: journalhook itself has to end.
  func interrupt()

  /// Whether its hook is known to act on a unit.
  func acts(on unit: String) -> Bool
}

/// Prepares attempts, and knows what the system knows of hooks and units.
package protocol RunHost: AnyObject {
  /// Opens the hook of a run, as it was checked when it was loaded.
  ///
  /// - Throws: `HookError` if the run must not begin, or not now.
  func prepare(_ run: Run) throws(HookError) -> any RunAttempt

  /// The definition of a hook as it is loaded now; nil if there is none.
  func definition(of hook: String) -> HookDefinition?

  /// Why no hook of a name can be run; nil if one can.
  func absence(of hook: String) -> String?

  /// Whether the service manager has a job for a unit that is not active: it is about to be started.
  func hasStartJob(_ unit: String) -> Bool

  /// Ends what the attempt of a dead process has left in its place (`RunAttempt.makePlace`), and removes the place.
  ///
  /// - Returns: false if processes are left that do not end.
  func endLeftovers(in place: String) throws -> Bool

  /// No attempt is under way: ends processes that earlier ones have left behind.
  func endStrays()
}
