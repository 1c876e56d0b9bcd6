package import Lifecycle
internal import Systemd

/// When units were first seen, of those that had not been seen before.
///
/// A unit that comes to be while a hook runs may be the hook's work, whatever way it came: by systemd-run(1), say.
package struct NewUnits: Sendable {
  private typealias Key = LifecycleTracker.Key

  /// The number of units that are remembered; when there are more, at least half of this number.
  static let capacity = 16_384
  /// So long it matters when a unit came to be, in microseconds.
  static let memory: UInt64 = 600_000_000

  private var known: Set<LifecycleTracker.Key>
  private var older: Set<LifecycleTracker.Key> = []
  /// Event time in microseconds since 1970.
  private var births: [LifecycleTracker.Key: UInt64] = [:]

  /// - Parameter known: the units that have been there.
  package init(known: some Sequence<LifecycleTracker.Key> = []) { self.known = Set(known) }

  /// Takes note of the unit of an event.
  package mutating func note(_ event: LifecycleEvent) {
    let key = NewUnits.key(of: event)
    if known.contains(key) || older.contains(key) { return }
    if known.count >= NewUnits.capacity / 2 {
      older = known
      known = []
      births = births.filter { $0.value &+ NewUnits.memory > event.realtime }
    }
    known.insert(key)
    births[key] = event.realtime
  }

  /// When the unit of an event was first heard of, in microseconds since 1970; nil if it has been there.
  package func birth(of event: LifecycleEvent) -> UInt64? { births[NewUnits.key(of: event)] }

  /// Whether units of this kind come with people, connections and devices, one soon after the other: all but services and timers,
  /// which are what a hook would start; sessions, the services of users, and those of sockets with Accept=yes, whose instances
  /// begin with a number (`sshd@3-192.0.2.1:22-….service`).
  package static func comeFromOutside(_ unit: String) -> Bool {
    guard unit.hasSuffix(".service") || unit.hasSuffix(".timer") else { return true }
    if unit.hasPrefix("session-") || unit.hasPrefix("user@") || unit.hasPrefix("user-runtime-dir@") { return true }
    guard let instance = UnitName(unit).instance, let end = instance.firstIndex(of: "-") else { return false }
    return end > instance.startIndex && instance[..<end].utf8.allSatisfy { 0x30...0x39 ~= $0 }
  }

  private static func key(of event: LifecycleEvent) -> Key {
    Key(machine: event.machine, manager: event.manager, unit: event.unit)
  }
}
