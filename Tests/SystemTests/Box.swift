import Glibc
import Synchronization
import Testing

/// A private, real systemd with journalhook installed (contrib/box, contrib/install).
final class Box: Sendable {
  /// The box of the suite that is running.
  @TaskLocal static var current: Box?

  let name: String
  private static let count = Mutex(0)

  /// Boots one.
  init() throws {
    Box.clearAbandoned()
    let number = Box.count.withLock { count in
      count += 1
      return count
    }
    name = "sys-\(getpid())-\(number)"
    try Command.run([Repository.box, "up", name, "--bind", Repository.path]).check()
    do {
      try Command.run([Repository.box, "put", name, Repository.binary, "/root/journalhook"]).check()
      try run([Repository.path + "/contrib/install", "--binary", "/root/journalhook"]).check()
      try unit("work@.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n")
      try unit("fence.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n")
      try run(["systemctl", "daemon-reload"]).check()
    } catch {
      down()
      throw error
    }
  }

  /// Ends it; its files are gone.
  func down() { _ = try? Command.run([Repository.box, "down", name, "--now"]) }

  /// Boots it anew; its files stay.
  func reboot() throws { try Command.run([Repository.box, "reboot", name]).check() }

  /// Boxes of test processes that were killed.
  private static func clearAbandoned() {
    guard let list = try? Command.run([Repository.box, "list"]) else { return }
    for line in list.lines {
      let name = line.prefix { $0 != " " }
      let parts = name.split(separator: "-")
      guard parts.count == 3, parts[0] == "sys", let pid = pid_t(parts[1]), kill(pid, 0) != 0, errno == ESRCH else {
        continue
      }
      _ = try? Command.run([Repository.box, "down", String(name), "--now"])
    }
  }

  // MARK: Commands inside

  /// Runs a command inside, as root, and waits for its end.
  @discardableResult
  func run(_ command: [String], input: String = "") throws -> Output {
    try Command.run([Repository.box, "run", name] + command, input: input)
  }

  /// Runs a shell's text inside and waits for its end, which must be a success.
  @discardableResult
  func sh(_ text: String, _ arguments: String...) throws -> Output {
    let output = try Command.run([Repository.box, "sh", name, text] + arguments)
    try output.check()
    return output
  }

  /// Writes a file in one step.
  func put(_ text: String, _ path: String, mode: String = "0644") throws {
    let slash = path.lastIndex(of: "/") ?? path.startIndex
    let hidden = path[...slash] + "." + path[path.index(after: slash)...] + ".new"
    let command = #"install -D -m "$1" /dev/stdin "$2" && mv -fT "$2" "$3""#
    try run(["bash", "-c", command, "bash", mode, String(hidden), path], input: text).check()
  }

  /// Writes a unit file, which counts after the next `daemon-reload`.
  func unit(_ name: String, _ text: String) throws { try put(text, "/etc/systemd/system/" + name) }

  /// Waits until a shell's condition holds, for so many seconds at most.
  func wait(_ seconds: Int = 30, until condition: String, _ arguments: String...) throws {
    let text = """
      condition() { \(condition)
      }
      end=$((SECONDS + \(seconds)))
      until condition "$@"; do
        ((SECONDS < end)) || exit 99
        sleep 0.03
      done
      """
    let output = try Command.run([Repository.box, "sh", name, text] + arguments)
    if output.status == 99 { throw Timeout(condition: condition, seconds: seconds, errors: output.errors) }
    try output.check()
  }

  // MARK: What PID 1 says

  /// The journal's time now, in microseconds since 1970.
  func now() throws -> String { try sh("date +%s.%6N").text.trimmed }

  /// How often PID 1 says that a unit was started since a time.
  func starts(of unit: String, since: String) throws -> Int {
    try messages("39f53479d3a045ac8e11786248231fbf", of: unit, since: since)
  }

  /// How often PID 1 says that a unit was stopped since a time.
  func stops(of unit: String, since: String) throws -> Int {
    try messages("9d1aaa27d60140bd96365438aad20286", of: unit, since: since)
  }

  private func messages(_ id: String, of unit: String, since: String) throws -> Int {
    let output = try sh(
      #"journalctl --sync; journalctl -q -o cat --since "@$1" _PID=1 UNIT="$2" MESSAGE_ID="$3""#, since, unit, id)
    return output.lines.count
  }

  func isActive(_ unit: String) throws -> Bool { try run(["systemctl", "is-active", "-q", unit]).status == 0 }

  /// Prints what helps to understand a failure.
  func explain(stateDirectory: String) {
    let text = #"""
      echo "--- the journal's end"; journalctl -q --no-pager -o short-precise -n 60
      echo "--- the ledger's end"
      sqlite3 -cmd '.timeout 2000' "$1/journalhook.db" "SELECT id, hook, unit, event, mode, state, attempt, reason FROM
        (SELECT * FROM runs ORDER BY id DESC LIMIT 30) ORDER BY id; SELECT 'attempt', run, attempt, state, reason FROM attempts
        ORDER BY run DESC LIMIT 30"
      """#
    guard let output = try? Command.run([Repository.box, "sh", name, text, stateDirectory]) else { return }
    print(output.text + output.errors)
    fflush(nil)
  }
}

struct Timeout: Error, CustomStringConvertible {
  let condition: String
  let seconds: Int
  let errors: String
  var description: String { "not within \(seconds) s: \(condition)\n\(errors)" }
}

/// Gives a suite a box of its own, from its first test until after its last.
struct BoxTrait: SuiteTrait, TestScoping {
  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    let box = try Box()
    defer { box.down() }
    try await Box.$current.withValue(box) { try await function() }
  }
}

extension Trait where Self == BoxTrait {
  static var box: Self { BoxTrait() }
}

/// All tests on a real systemd, one after the other.
@Suite(
  .serialized,
  .enabled(
    if: Environment["JOURNALHOOK_SYSTEM_TESTS"] == "required",
    "needs JOURNALHOOK_SYSTEM_TESTS=required, as contrib/test sets it where boxes work; it is \(Environment["JOURNALHOOK_SYSTEM_TESTS"] ?? "not set")"
  ),
  .compactMapIssues { issue in
    Failures.note()
    return issue
  },
  .timeLimit(.minutes(3)))
enum SystemTests {}

/// How many expectations have failed so far.
enum Failures {
  private static let counter = Mutex(0)
  static var count: Int { counter.withLock { $0 } }
  static func note() { counter.withLock { $0 += 1 } }
}
