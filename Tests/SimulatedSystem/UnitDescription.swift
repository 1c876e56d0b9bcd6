/// The versions of systemd whose messages differ.
package enum SystemdVersion: String, Sendable, CaseIterable {
  case v247, v252, v257

  /// An automatic restart is a start job of its own, and no restart job that logs UNIT_STOPPED (254 and later).
  var startsAgainByStartJob: Bool { self == .v257 }
  /// Messages name the unit, not only its description (250 and later).
  var namesUnits: Bool { self != .v247 }
  /// `LogLevelMax=` hides what the manager says of the unit (249 and later).
  var obeysLogLevelMax: Bool { self != .v247 }
}

/// A unit's configuration.
package struct UnitDescription: Sendable {
  /// The unit's type, and for services their `Type=`.
  package enum Kind: String, Sendable, CaseIterable {
    case simple, notify, oneshot, socket, timer, target, mount

    var isService: Bool { self == .simple || self == .notify || self == .oneshot }
  }

  /// `Restart=`.
  package enum Restart: Sendable, CaseIterable {
    case no, onFailure, always
  }

  /// What else its configuration says.
  package struct Traits: OptionSet, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Is started at boot.
    package static let isEnabled = Traits(rawValue: 1)
    /// `RemainAfterExit=yes`.
    package static let remainsAfterExit = Traits(rawValue: 2)
    /// `ExecStartPre=`.
    package static let hasStartPre = Traits(rawValue: 4)
    /// `ExecStop=`.
    package static let hasStop = Traits(rawValue: 8)
    /// `ExecStopPost=`.
    package static let hasStopPost = Traits(rawValue: 16)
    /// `ExecReload=`.
    package static let canReload = Traits(rawValue: 32)
    /// A condition that is not always met.
    package static let hasCondition = Traits(rawValue: 64)
    /// `LogLevelMax=notice`.
    package static let isQuiet = Traits(rawValue: 128)
    /// The manager forgets it when it is inactive, as nothing refers to it.
    package static let isUnloaded = Traits(rawValue: 256)
    /// Its start fails often.
    package static let isFragile = Traits(rawValue: 512)
    /// Does not always end when it is asked to.
    package static let isStubborn = Traits(rawValue: 1024)
  }

  package var name: String
  /// `Description=`; the name where there is none.
  package var text: String
  package var kind: Kind
  package var restart: Restart
  /// `RestartSec=`, in microseconds.
  package var restartDelay: UInt64 = 100_000
  package var traits: Traits
  /// `StartLimitBurst=` within `StartLimitIntervalSec=`, in microseconds.
  package var startLimit: (burst: Int, interval: UInt64) = (5, 10_000_000)
  /// `PartOf=`: is stopped and restarted with them.
  package var partOf: [String] = []
  /// `Requires=` and `After=`: is started after them, and only if they are.
  package var requires: [String] = []
  /// What a timer starts.
  package var starts: String?

  package init(
    _ name: String, _ kind: Kind, restart: Restart = .no, _ traits: Traits = [], text: String? = nil
  ) {
    self.name = name
    self.kind = kind
    self.restart = restart
    self.traits = traits
    self.text = text ?? name
  }

  /// Units of every kind: some for each trait, and some that depend on others.
  package static func mixed(using numbers: inout SeededNumbers) -> [UnitDescription] {
    var units: [UnitDescription] = [
      UnitDescription("app.service", .simple, restart: .always, [.isEnabled, .canReload]),
      UnitDescription(
        "web.service", .notify, restart: .onFailure, [.isEnabled, .canReload, .hasStopPost], text: "Web"),
      UnitDescription("batch.service", .oneshot, [.isFragile]),
      UnitDescription("setup.service", .oneshot, [.isEnabled, .remainsAfterExit]),
      UnitDescription("multi-user.target", .target, .isEnabled, text: "Multi-User System"),
      UnitDescription("bus.socket", .socket, .isEnabled),
      UnitDescription("data.mount", .mount, .isEnabled, text: "/data"),
    ]
    for index in 0..<numbers.below(6) {
      let kind = numbers.pick(UnitDescription.Kind.allCases)
      let suffix = kind.isService ? "service" : kind.rawValue
      var unit = UnitDescription("unit\(index).\(suffix)", kind)
      unit.traits = Traits(rawValue: UInt16(truncatingIfNeeded: numbers.next() & numbers.next()))
      if numbers.isOne(in: 3) { unit.traits.insert(.isEnabled) }
      if !numbers.isOne(in: 6) { unit.traits.remove(.isQuiet) }
      if kind != .oneshot { unit.traits.remove(.remainsAfterExit) }
      if kind.isService { unit.restart = numbers.pick(Restart.allCases) }
      if kind == .oneshot, unit.restart == .always { unit.restart = .onFailure }
      unit.restartDelay = numbers.pick([0, 1000, 100_000, 2_000_000])
      unit.startLimit = (2 + numbers.below(6), 10_000_000)
      // Units depend on those before them only.
      if numbers.isOne(in: 3) { unit.partOf = [numbers.pick(units).name] }
      if numbers.isOne(in: 4) { unit.requires = [numbers.pick(units).name] }
      if kind == .timer { unit.starts = numbers.pick(units.filter(\.kind.isService)).name }
      units.append(unit)
    }
    return units
  }
}
