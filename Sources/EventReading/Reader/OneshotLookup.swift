internal import Systemd

/// Asks the manager of the calling user whether oneshot services stay active (`RemainAfterExit=`): it does not log that.
final class OneshotLookup {
  private let clocks: any Clocks
  private var known: [String: Bool] = [:]
  /// Until this time the manager is not asked again, because it does not run or hangs. In microseconds since boot.
  private var silentUntil: UInt64 = 0

  private static let pause: UInt64 = 10_000_000
  /// The number of units to remember: transient units have a new name each time.
  private static let capacity = 1000

  init(clocks: any Clocks) { self.clocks = clocks }

  /// Whether a service stays active after its process has ended; nil if that is not known.
  func remainsAfterExit(_ unit: String) -> Bool? {
    if let known = known[unit] { return known }
    guard unit.hasSuffix(".service"), clocks.monotonic >= silentUntil else { return nil }
    do throws(SystemError) {
      // One connection per question: a connection that is kept would have to read the signals of the manager, which waits for it.
      let answer = try Bus.privateUserManager().remainsAfterExit(unit)
      if known.count >= OneshotLookup.capacity { known = [:] }
      known[unit] = answer
      return answer
    } catch {
      silentUntil = clocks.monotonic + OneshotLookup.pause
      return nil
    }
  }
}
