import Systemd

@testable import HookFiles
@testable import Hooks
@testable import JournalHookDaemon
@testable import Lifecycle
@testable import Runs

/// Hooks that exist because a test says so.
final class FakeRunHost: RunHost {
  /// The hooks, by name. Those that are not there can be run all the same, and say nothing.
  var definitions: [String: HookDefinition] = [:]
  /// Why hooks cannot be opened, by name.
  var errors: [String: HookError] = [:]
  /// Why the next attempts cannot begin.
  var beginErrors: [any Error] = []
  /// The condition that is not met; nil: all are.
  var condition: Result<String?, SystemError> = .success(nil)
  /// The units that are about to be started.
  var startJobs: Set<String> = []
  /// Attempts that have begun, in their order.
  var begun: [FakeRunAttempt] = []
  /// Called when an attempt has begun.
  var onBegin: (FakeRunAttempt) -> Void = { _ in }
  /// How many places were given up without a process in them.
  var discarded = 0
  /// How often it was asked to end what attempts have left behind.
  var strayEnds = 0

  func prepare(_ run: Run) throws(HookError) -> any RunAttempt {
    if let error = errors[run.hook] { throw error }
    return FakeRunAttempt(run, definitions[run.hook] ?? HookDefinition(), self)
  }

  func definition(of hook: String) -> HookDefinition? { definitions[hook] }

  func absence(of hook: String) -> String? { definitions[hook] == nil ? "there is no hook '\(hook)'" : nil }

  func hasStartJob(_ unit: String) -> Bool { startJobs.contains(unit) }

  func endLeftovers(in place: String) throws -> Bool { true }

  func endStrays() { strayEnds += 1 }
}

/// An attempt without a process: the test says what becomes of it.
final class FakeRunAttempt: RunAttempt {
  let run: Run
  let definition: HookDefinition
  var onOutcome: ((RunMachine.Outcome) -> Void)?
  var onRelease: (() -> Void)?
  /// The units that its hook acts on.
  var units: Set<String> = []
  private(set) var isInterrupted = false
  private unowned let host: FakeRunHost

  init(_ run: Run, _ definition: HookDefinition, _ host: FakeRunHost) {
    self.run = run
    self.definition = definition
    self.host = host
  }

  func unmetCondition() throws -> String? { try host.condition.get() }

  func makePlace() throws -> String { "/place/\(run.id)" }

  func begin() throws {
    if !host.beginErrors.isEmpty { throw host.beginErrors.removeFirst() }
    host.begun.append(self)
    host.onBegin(self)
  }

  func discard() { host.discarded += 1 }

  func interrupt() { isInterrupted = true }

  func acts(on unit: String) -> Bool { units.contains(unit) }
}
