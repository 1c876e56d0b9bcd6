/// What the service manager knows of a unit at one moment (org.freedesktop.systemd1(5), "Unit Objects").
///
/// If the manager has unloaded the unit since it ran, the status has neither an invocation nor times.
public struct UnitStatus: Sendable, Equatable {
  /// A moment on two clocks; 0 on both if it has not occurred.
  public struct Moment: Sendable, Equatable {
    /// Microseconds since boot (CLOCK_MONOTONIC).
    public var monotonic: UInt64
    /// Microseconds since 1970.
    public var realtime: UInt64

    /// Makes a moment from its two times.
    public init(monotonic: UInt64 = 0, realtime: UInt64 = 0) {
      self.monotonic = monotonic
      self.realtime = realtime
    }
  }

  /// The unit's primary name.
  public var unit: String
  /// All its names, the primary one among them.
  public var names: [String]
  /// `loaded`, `not-found`, `masked`, …
  public var loadState: String
  /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`, …
  public var activeState: String
  /// 32 hexadecimal digits; nil before systemd 232 and for units that never ran.
  public var invocation: String?
  /// When the unit last became active.
  public var activeEnter = Moment()
  /// When the unit last ceased to be active.
  public var activeExit = Moment()
  /// When the unit last became inactive or failed.
  public var inactiveEnter = Moment()
  /// The number of the unit's job, waiting or running; 0 if there is none.
  public var job: UInt64 = 0
  /// systemd's result: `success`, `exit-code`, …; nil where nobody asked for it, and for types that have none.
  public var result: String?

  /// Makes a status that did not come from the manager, for tests.
  public init(unit: String, activeState: String, invocation: String? = nil) {
    self.unit = unit
    names = [unit]
    loadState = "loaded"
    self.activeState = activeState
    self.invocation = invocation
  }

  /// Reads the properties of org.freedesktop.systemd1.Unit.
  ///
  /// - Parameter asked: the unit name in the question.
  init(_ properties: BusProperties, asked: String) {
    func moment(_ name: String) -> Moment {
      Moment(
        monotonic: properties.number("\(name)TimestampMonotonic"), realtime: properties.number("\(name)Timestamp"))
    }
    let id = properties.text("Id")
    unit = id.isEmpty ? asked : id
    names = properties.texts("Names")
    loadState = properties.text("LoadState")
    activeState = properties.text("ActiveState")
    invocation = properties.id("InvocationID")
    activeEnter = moment("ActiveEnter")
    activeExit = moment("ActiveExit")
    inactiveEnter = moment("InactiveEnter")
    job = properties.number("Job")
  }
}
