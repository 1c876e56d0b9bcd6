package import Systemd

/// The values of all keys of a hook, with the defaults of those that are not set.
package struct HookDefinition: Sendable, Hashable {
  /// The section `[Match]`.
  package var match = HookMatch()

  /// `Description=`: a text for people.
  package var description: String?
  /// `Documentation=`: URIs.
  package var documentation: [String] = []
  /// `Exec=`: always set in a definition file, never in an executable.
  package var exec: ExecCommand?
  /// `TimeoutSec=`: how long a run may take; infinite for no limit.
  package var timeout = TimeSpan.minutes(2)
  /// `GraceSec=`: the time between SIGTERM and SIGKILL when a run is ended.
  package var grace = TimeSpan.seconds(5)
  /// `RetryCount=`: how often a failed run is tried again.
  package var retryCount: UInt32 = 0
  /// `RetryDelaySec=`: the time before a failed run is tried again.
  package var retryDelay = TimeSpan.seconds(1)
  /// `SettleSec=`: the time between the event and the start of the run.
  package var settle = TimeSpan.zero
  /// `CatchUp=`: the events from the time when journalhook was not running for which the hook runs.
  package var catchUp = CatchUp.all
  /// `PreviousBoots=`: whether these include events of earlier boots.
  package var previousBoots = false
  /// `RerunInterrupted=`: whether a run that was interrupted is started again.
  package var rerunInterrupted = true
  /// `RateLimitIntervalSec=`. 0 means no limit; so does a burst of 0.
  package var rateLimitInterval = TimeSpan.seconds(10)
  /// `RateLimitBurst=`: the largest number of runs for one unit within the interval.
  package var rateLimitBurst: UInt32 = 50
  /// `Parallel=`: whether the hook and the other hooks of the same unit do not wait for each other.
  package var parallel = false
  /// `SuccessExitStatus=`: the exit statuses and signals that count as success besides the exit status 0.
  package var successExitStatus = ExitStatusSet()
  /// `ExecCondition=`: commands that must succeed before the program is executed.
  package var execConditions: [ExecCommand] = []
  /// `Condition…=`: conditions that must hold before a run.
  package var conditions: [HookCondition] = []
  /// `Environment=`: variables of the run.
  package var environment: [EnvironmentVariable] = []
  /// `WorkingDirectory=`; nil if it is not set.
  package var workingDirectory: WorkingDirectory?
  /// `User=`: a name or a number; nil for the user that journalhook runs as.
  package var user: String?
  /// `Group=`: a name or a number; nil for the primary group of the user.
  package var group: String?
  /// `UMask=`; nil if it is not set.
  package var umask: UInt32?
  /// `Nice=`; nil if it is not set.
  package var nice: Int32?
  /// `OnHookFailure=`: the name of the hook that runs when this one fails.
  package var onHookFailure: String?
  /// `DuringShutdown=`: whether runs may start while the system is shutting down.
  package var duringShutdown = false

  package init() {}
}

/// A hook whose definition has no errors.
package struct Hook: Sendable, Hashable {
  /// The name of the file without `.hook`.
  package var name: String
  /// The path of the file.
  package var path: String
  /// The form of the file.
  package var kind: HookKind
  /// The values of all keys.
  package var definition: HookDefinition
  /// The paths of the drop-ins, in the order in which they were merged.
  package var dropIns: [String]
  /// The assignments of all files, in the order in which they were applied.
  package var assignments: [HookAssignment] = []

  /// The place of the last assignment to a key whose value contains a text; line 1 of the hook's file if there is none.
  package func place(of key: String, containing text: String = "") -> (file: String, line: Int) {
    let found = assignments.last { $0.key == key && (text.isEmpty || $0.value.contains(text)) }
    return found.map { ($0.file, $0.line) } ?? (path, 1)
  }

  /// A warning at the last assignment to a key whose value contains a text.
  package func warning(about key: String, containing text: String = "", _ message: String) -> Diagnostic {
    let place = place(of: key, containing: text)
    return Diagnostic(file: place.file, line: place.line, severity: .warning, message: "\(key)=: \(message)")
  }
}

/// An assignment in a hook's file or in one of its drop-ins.
package struct HookAssignment: Sendable, Hashable {
  package var key: String
  package var value: String
  package var file: String
  package var line: Int
}

/// The form of a file in a hook directory.
package enum HookKind: Sendable, Hashable {
  /// `NAME.hook`.
  case definitionFile
  /// An executable file, with the definition in its leading comment.
  case executable
  /// Any other file. A definition in it is a mistake.
  case plainFile
}
