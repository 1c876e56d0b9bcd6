internal import EventReading
internal import JournalHookDaemon
internal import Systemd

/// A process of journalhook on the simulated machine: the program's own logic, without a kernel.
final class SimulatedProcess {
  let host: SimulatedHost
  let owner: CInt
  let isFollow: Bool
  let name: String
  private let options: Options
  private var follower: Follower?
  private var replayer: Replayer?
  /// Whether something was wrong that can make it fail.
  var mayFail = false
  private(set) var lastMessage = ""
  var onMessage: (String) -> Void = { _ in }

  private enum Options {
    case follow(FollowOptions)
    case replay(ReplayOptions)
  }

  private init(_ world: World, _ options: Options, isFollow: Bool, owner: CInt, seed: UInt64) {
    self.options = options
    self.isFollow = isFollow
    self.owner = owner
    name = "\(isFollow ? "follow" : "replay") \(owner)"
    host = SimulatedHost(world, name: name, owner: owner, seed: seed)
  }

  convenience init(follow world: World, since: UInt64?, owner: CInt, hooks: HookSet, seed: UInt64) {
    var options = FollowOptions(
      selection: JournalSelection(journal: .system), stateDirectory: World.stateDirectory,
      hookDirectories: [hooks.directory])
    options.since = since
    self.init(world, .follow(options), isFollow: true, owner: owner, seed: seed)
  }

  convenience init(replay world: World, since: UInt64, owner: CInt, hooks: HookSet, seed: UInt64) {
    let options = ReplayOptions(
      selection: JournalSelection(journal: .system), stateDirectory: World.stateDirectory,
      hookDirectories: [hooks.directory], since: since)
    self.init(world, .replay(options), isFollow: false, owner: owner, seed: seed)
  }

  /// How far a replay is.
  var progress: ReplayProgress? { replayer?.progress }

  func start() {
    let reporter = Reporter { [unowned self] line in
      guard !host.isGone else { return }
      lastMessage = line
      onMessage("\(name): \(line)")
    }
    do {
      switch options {
      case .follow(let options):
        let follower = try Follower(options, host: host, reporter: reporter)
        self.follower = follower
        try follower.start()
      case .replay(let options):
        let replayer = try Replayer(options, host: host, reporter: reporter) { _ in }
        self.replayer = replayer
        try replayer.start()
      }
    } catch {
      lastMessage = "\(error)"
      onMessage("\(name): \(error)")
      host.processLoop.exit(1)
    }
  }

  /// Whether it has died or ended.
  var isOver: Bool { host.isGone || host.processLoop.exitCode != nil }

  /// Its memory is freed.
  func release() {
    follower = nil
    replayer = nil
  }
}
