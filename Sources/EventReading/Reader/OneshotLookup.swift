internal import Systemd

/// Asks the calling user's manager whether oneshots stay up (`RemainAfterExit=`), which it does not log.
final class OneshotLookup {
  private let clocks: any Clocks
  private var known: [String: Bool] = [:]
  /// Until when nobody is asked, in microseconds since boot: there is no manager, or it hangs.
  private var silentUntil: UInt64 = 0

  private static let pause: UInt64 = 10_000_000
  /// Transient units have names of their own each time.
  private static let capacity = 1000

  init(clocks: any Clocks) { self.clocks = clocks }

  /// Nil if nobody can tell.
  func remainsAfterExit(_ unit: String) -> Bool? {
    if let known = known[unit] { return known }
    guard unit.hasSuffix(".service"), clocks.monotonic >= silentUntil else { return nil }
    do throws(SystemError) {
      // A connection for this question: the manager waits for those that do not read its signals.
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
