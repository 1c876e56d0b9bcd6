/// The state of a unit as the service manager's PropertiesChanged signals report it (org.freedesktop.systemd1(5)).
///
/// The manager sends these signals after changes of any kind, and one signal may report several changes. `activeState` is the
/// state after the last change; the timestamps show the states before it.
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
  /// The number of the unit's job, waiting or running; 0 if there is none.
  public var job: UInt32 = 0
  /// The properties that only units of this type have.
  public var details = Details()

  /// The properties of a unit's type that describe how the unit ended.
  public struct Details: Sendable, Equatable {
    /// systemd's result: `success`, `exit-code`, `signal`, …; nil for types that have none.
    public var result: String?
    /// The number of automatic restarts (`Restart=`) since a job last started the unit.
    public var nRestarts: UInt32 = 0
    /// How the main process ended, as waitid(2) has it: 1 exited, 2 killed, 3 dumped; 0 while it runs.
    public var exitCode: Int32 = 0
    /// Its exit status or signal.
    public var exitStatus: Int32 = 0
    /// When the main process was started, in microseconds since boot; 0 if never.
    public var mainStart: UInt64 = 0

    /// Details of which nothing is known.
    public init() {}
  }

  /// Makes a change that did not come from a message, for tests.
  public init(unit: String, activeState: String) {
    self.unit = unit
    self.activeState = activeState
  }
}
