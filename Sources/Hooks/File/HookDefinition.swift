package import Systemd

/// The values of all keys of a hook, with the defaults of those that are not set.
package struct HookDefinition: Sendable, Hashable {
  package var match = HookMatch()

  package var description: String?
  package var documentation: [String] = []
  /// `Exec=`: always set in a definition file, never in an executable.
  package var exec: ExecCommand?
  package var timeout = TimeSpan.minutes(2)
  package var grace = TimeSpan.seconds(5)
  package var retryCount: UInt32 = 0
  package var retryDelay = TimeSpan.seconds(1)
  package var settle = TimeSpan.zero
  package var catchUp = CatchUp.all
  package var previousBoots = false
  package var rerunInterrupted = true
  /// 0 means no limit; so does a burst of 0.
  package var rateLimitInterval = TimeSpan.seconds(10)
  package var rateLimitBurst: UInt32 = 50
  package var parallel = false
  /// The exit statuses and signals that count as success besides the exit status 0.
  package var successExitStatus = ExitStatusSet()
  package var execConditions: [ExecCommand] = []
  package var conditions: [HookCondition] = []
  package var environment: [EnvironmentVariable] = []
  package var workingDirectory: WorkingDirectory?
  package var user: String?
  package var group: String?
  package var umask: UInt32?
  package var nice: Int32?
  package var onHookFailure: String?
  package var duringShutdown = false

  package init() {}
}

/// A hook whose definition has no errors.
package struct Hook: Sendable, Hashable {
  /// The name of the file without `.hook`.
  package var name: String
  /// The path of the file.
  package var path: String
  package var kind: HookKind
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
