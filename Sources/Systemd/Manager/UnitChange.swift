/// What the service manager's PropertiesChanged signals say of a unit's state (org.freedesktop.systemd1(5)).
///
/// The manager sends them after changes of any kind, and joins several: they tell where the unit is, and the timestamps tell
/// how it came there.
public struct UnitChange: Sendable, Equatable {
  /// The unit's primary name.
  public var unit: String
  /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, …
  public var activeState: String
  /// The state in the words of the unit's type: `running`, `auto-restart`, …
  public var subState = ""
  /// 32 hexadecimal digits; nil before systemd 232 and for units that never ran.
  public var invocation: String?
  /// When the unit last ceased to be inactive or failed, in microseconds since boot; 0 if never.
  public var inactiveExit: UInt64 = 0
  /// When it last became active.
  public var activeEnter: UInt64 = 0
  /// When it last ceased to be active.
  public var activeExit: UInt64 = 0
  /// When it last became inactive or failed.
  public var inactiveEnter: UInt64 = 0
  /// The job that waits or runs; 0 if there is none.
  public var job: UInt32 = 0
  /// What only units of its type have.
  public var details = Details()

  /// The properties of a unit's type that tell how it ended.
  public struct Details: Sendable, Equatable {
    /// systemd's result: `success`, `exit-code`, `signal`, …; nil for types that have none.
    public var result: String?
    /// How often `Restart=` has brought it up since it was last started by a job.
    public var nRestarts: UInt32 = 0
    /// How the main process ended, as waitid(2) has it: 1 exited, 2 killed, 3 dumped; 0 while it runs.
    public var exitCode: Int32 = 0
    /// Its exit status or signal.
    public var exitStatus: Int32 = 0
    /// When it was started, in microseconds since boot; 0 if never.
    public var mainStart: UInt64 = 0

    /// Nothing is known.
    public init() {}
  }

  /// Makes a change by hand, for tests.
  public init(unit: String, activeState: String) {
    self.unit = unit
    self.activeState = activeState
  }
}
