package import Systemd

/// All that a hook's sections say; what they do not say has its default.
package struct HookDefinition: Sendable, Hashable {
  package var match = HookMatch()

  package var description: String?
  package var documentation: [String] = []
  /// `Exec=`, in definition files only; there always.
  package var exec: ExecCommand?
  package var timeout = TimeSpan.minutes(2)
  package var grace = TimeSpan.seconds(5)
  package var retryCount: UInt32 = 0
  package var retryDelay = TimeSpan.seconds(1)
  package var settle = TimeSpan.zero
  package var catchUp = CatchUp.all
  package var previousBoots = false
  package var rerunInterrupted = true
  /// 0 means no limit, as does a burst of 0.
  package var rateLimitInterval = TimeSpan.seconds(10)
  package var rateLimitBurst: UInt32 = 50
  package var parallel = false
  /// What counts as success besides 0, which always does.
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

/// A hook that can be used.
package struct Hook: Sendable, Hashable {
  /// Its file's name without `.hook`.
  package var name: String
  /// Where it was read from.
  package var path: String
  package var kind: HookKind
  package var definition: HookDefinition
  /// The drop-ins that were merged into it, in this order.
  package var dropIns: [String]
  /// All that was assigned, in the order in which it counts.
  package var assignments: [HookAssignment] = []

  /// Where a key was assigned what contains a text; the begin of the hook's file if it was nowhere.
  package func place(of key: String, containing text: String = "") -> (file: String, line: Int) {
    let found = assignments.last { $0.key == key && (text.isEmpty || $0.value.contains(text)) }
    return found.map { ($0.file, $0.line) } ?? (path, 1)
  }

  /// A warning about a key, and there about what contains a text.
  package func warning(about key: String, containing text: String = "", _ message: String) -> Diagnostic {
    let place = place(of: key, containing: text)
    return Diagnostic(file: place.file, line: place.line, severity: .warning, message: "\(key)=: \(message)")
  }
}

/// A line of a hook's file or of one of its drop-ins.
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
  /// A file that can be executed, whose definition is in its leading comment.
  case executable
  /// Another file, which cannot be executed; a definition in it is a mistake.
  case plainFile
}
