internal import EventReading
internal import HookFiles
internal import Lifecycle
internal import Systemd

/// The other names of the units that hooks mention.
extension Follower {
  /// Asks for them, with a bounded wait: before the first event is answered.
  func resolveAliasesNow() {
    guard options.selection.isLocal else { return }
    hooks.aliases = ManagerConnection.aliases(of: hooks, manager: options.selection.manager)
  }

  /// Asks for them without waiting: hooks or unit files have changed, or the manager can be asked again.
  func resolveAliases() {
    guard options.selection.isLocal, let bus = watch?.bus else { return }
    let units = hooks.hooks.map(\.hook).mentionedUnits
    aliasRound += 1
    let round = aliasRound
    var found = UnitAliases()
    var left = units.count
    func answered() {
      left -= 1
      // A later round knows better.
      guard left <= 0, round == aliasRound else { return }
      hooks.aliases = found
    }
    if units.isEmpty { return answered() }
    for unit in units {
      do {
        try bus.askStatus(of: unit) { answer in
          if case .success(let status) = answer { found.note(status.unit, names: status.names, asked: unit) }
          answered()
        }
      } catch {
        answered()
      }
    }
  }
}
