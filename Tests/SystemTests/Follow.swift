import Glibc
import Synchronization
import Testing

/// How journalhook is started.
enum Mode: CaseIterable, CustomTestStringConvertible {
  /// By somebody at a shell: it has to find a cgroup of its own.
  case byHand
  /// By systemd, as contrib/systemd/journalhook.service.
  case service

  var testDescription: String { self == .byHand ? "by hand" : "as a service" }
}

/// What a line of the ledger's table `runs` says.
struct Run: Equatable, CustomStringConvertible {
  var hook: String
  var unit: String
  var event: String
  var mode = "live"
  var state = "succeeded"
  var attempt = 1

  var description: String { "\(hook) \(unit) \(event) \(mode) \(state) \(attempt)" }
}

/// One `journalhook follow` with hooks and a ledger of its own.
final class Follow {
  let box: Box
  let mode: Mode
  /// A directory of the test's own, which hooks may lie in and write to.
  let directory: String
  let hooks: String
  let state: String
  /// What the hooks under test write to.
  var log: String { directory + "/log" }

  private static let count = Mutex(0)

  init(_ mode: Mode = .byHand) throws {
    box = try #require(Box.current)
    self.mode = mode
    let number = Follow.count.withLock { count in
      count += 1
      return count
    }
    directory = "/root/test-\(number)"
    hooks = mode == .byHand ? directory + "/hooks" : "/etc/journalhook/hooks.d"
    state = mode == .byHand ? directory + "/state" : "/var/lib/journalhook"
    if mode == .service {
      try box.sh("systemctl stop journalhook; rm -rf /var/lib/journalhook /etc/journalhook/hooks.d /run/journalhook")
    }
    try box.sh(#"systemctl stop 'work@*'; mkdir -p "$@"; touch "$1/log""#, directory, hooks)
    try hook("99-fence", match: "Unit=fence.service\nEvent=finished", body: ":")
  }

  /// Does something with a new follower, which is ended behind it; tells more when it fails.
  static func use(_ mode: Mode = .byHand, _ body: (Follow) throws -> Void) throws {
    let failures = Failures.count
    let follow = try Follow(mode)
    defer {
      if Failures.count > failures { follow.box.explain(stateDirectory: follow.state) }
      follow.end()
    }
    do { try body(follow) } catch {
      Failures.note()
      throw error
    }
  }

  // MARK: Hooks

  /// Writes a hook: a script with its definition in its leading comment.
  func hook(_ name: String, match: String, hook: String = "", body: String) throws {
    let definition = "[Match]\n\(match)\n[Hook]\n\(hook)".split(separator: "\n").map { "# \($0)\n" }.joined()
    try box.put("#!/bin/sh\n\(definition)\n\(body)\n", "\(hooks)/\(name)", mode: "0755")
  }

  /// Writes a hook that notes its name and the event.
  func recorder(_ name: String, match: String, hook: String = "") throws {
    try self.hook(
      name, match: match, hook: hook, body: "echo \"$JOURNALHOOK_HOOK $JOURNALHOOK_UNIT $JOURNALHOOK_EVENT\" >>\(log)")
  }

  /// Writes a `.hook` file.
  func file(_ name: String, _ text: String, mode: String = "0644") throws {
    try box.put(text, "\(hooks)/\(name)", mode: mode)
  }

  /// Copies hooks out of the examples.
  func examples(_ names: String...) throws {
    for name in names { try box.sh(#"cp "/usr/share/doc/journalhook/examples/$1" "$2/""#, name, hooks) }
  }

  /// The lines that the hooks have written.
  func logged() throws -> [String] { try box.sh(#"cat "$1""#, log).lines }

  // MARK: The process

  var options: [String] { ["--hooks", hooks, "--state-dir", state] }

  /// Starts it and waits until it follows.
  func start(_ more: [String] = []) throws {
    switch mode {
    case .service: try box.sh("systemctl start journalhook")
    case .byHand:
      let launch = #"""
        directory=$1; shift
        rm -f "$directory"/{pid,status}
        setsid bash -c 'journalhook follow "$@" >"$0/out" 2>&1 </dev/null & echo $! >"$0/new"; mv "$0/new" "$0/pid"
          wait $!; echo $? >"$0/new"; mv "$0/new" "$0/status"' "$directory" "$@" >/dev/null 2>&1 &
        """#
      try Command.run([Repository.box, "sh", box.name, launch, directory] + options + more).check()
      try box.wait(
        until: #"""
          [[ ! -e $1/status ]] || { echo "it ended: $(cat "$1/out")" >&2; exit 1; }
          [[ -s $1/pid ]] && journalctl -q -o cat _PID="$(cat "$1/pid")" MESSAGE_ID=d1165d4871b840da8b7461e7fb4bef1b | grep -q .
          """#, directory)
    }
  }

  var pid: String {
    get throws {
      switch mode {
      case .service: try box.sh("systemctl show -P MainPID journalhook").text.trimmed
      case .byHand: try box.sh(#"cat "$1/pid""#, directory).text.trimmed
      }
    }
  }

  var isAlive: Bool { get throws { try box.run(["kill", "-0", pid]).status == 0 } }

  /// Sends it a signal.
  func signal(_ name: String) throws { try box.sh(#"kill -s "$1" "$2""#, name, pid) }

  /// Waits for its end; its exit status.
  @discardableResult
  func exitStatus() throws -> Int {
    try box.wait(until: #"[[ -e $1/status ]]"#, directory)
    return try Int(box.sh(#"cat "$1/status""#, directory).text.trimmed) ?? -1
  }

  /// Kills it; by hand, waits until it is gone.
  func kill() throws {
    try signal("KILL")
    if mode == .byHand { try exitStatus() }
  }

  /// Stops it as one should, and waits for its end.
  func stop() throws {
    switch mode {
    case .service: try box.sh("systemctl stop journalhook")
    case .byHand:
      try signal("TERM")
      #expect(try exitStatus() == 0)
    }
  }

  fileprivate func end() {
    switch mode {
    case .service:
      _ = try? box.sh(
        "systemctl kill -s KILL journalhook; systemctl stop journalhook; systemctl reset-failed journalhook || true")
    case .byHand: _ = try? box.sh(#"[[ ! -e $1/pid || -e $1/status ]] || kill -KILL "$(cat "$1/pid")""#, directory)
    }
  }

  // MARK: The ledger

  /// Asks the ledger; the columns of a line are separated by `|`.
  func sql(_ query: String) throws -> [String] {
    try box.sh(#"sqlite3 -cmd ".timeout 5000" "$1/journalhook.db" "$2""#, state, query).lines
  }

  /// The runs in the order in which they were written down, except those of the fence.
  func runs(where condition: String = "1") throws -> [Run] {
    try sql(
      "SELECT hook, unit, event, mode, state, attempt FROM runs WHERE hook <> '99-fence' AND (\(condition)) ORDER BY id"
    ).map { line in
      let columns = line.split(separator: "|").map(String.init)
      return Run(
        hook: columns[0], unit: columns[1], event: columns[2], mode: columns[3], state: columns[4],
        attempt: Int(columns[5]) ?? 0)
    }
  }

  /// Waits until a condition holds for the ledger.
  func wait(_ seconds: Int = 30, until condition: String) throws {
    try box.wait(
      seconds, until: #"[[ $(sqlite3 -cmd ".timeout 5000" "$1/journalhook.db" "SELECT $2") == 1 ]]"#, state, condition)
  }

  /// Waits until all that has happened so far has been answered, and nothing is under way.
  ///
  /// The journal is read in its order: once an event that is made now has been answered, all before it are in the ledger.
  func settle(_ seconds: Int = 30) throws {
    let fences = try sql("SELECT count(*) FROM runs WHERE hook = '99-fence'")[0]
    // Events that wait for their job's last message do so for 100 ms.
    try box.sh("sleep 0.2; systemctl start fence")
    try wait(
      seconds,
      until: """
        (SELECT count(*) FROM runs WHERE hook = '99-fence') > \(fences) AND
        NOT EXISTS (SELECT * FROM runs WHERE state IN ('pending', 'running', 'interrupted'))
        """)
  }
}
