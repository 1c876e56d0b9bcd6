import Glibc
import Testing

/// A user of a box, with a service manager that runs without a login, and a `journalhook follow --user` there.
final class Person {
  let box: Box
  let name: String
  let home: String
  let uid: String
  /// What the recording hook writes: `UNIT EVENT RESULT SOURCE INVOCATION`.
  var log: String { home + "/log" }

  /// Makes the user, and starts its manager.
  init(_ name: String) throws {
    box = try #require(Box.current)
    self.name = name
    home = "/home/" + name
    try box.sh(#"id "$1" >/dev/null 2>&1 || useradd -m -s /bin/bash "$1"; loginctl enable-linger "$1""#, name)
    uid = try box.sh(#"id -u "$1""#, name).text.trimmed
    try box.wait(until: #"systemctl is-active -q "user@$1" && [[ -S /run/user/$1/systemd/private ]]"#, uid)
    try unit("fence.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n")
  }

  /// Runs a shell's text as this user; it must succeed.
  @discardableResult
  func sh(_ text: String, _ arguments: String...) throws -> Output {
    let output = try box.run(
      ["setpriv", "--reuid", uid, "--regid", uid, "--init-groups", "env", "-i", "PATH=/usr/bin:/bin", "HOME=" + home]
        + ["USER=" + name, "XDG_RUNTIME_DIR=/run/user/" + uid, "bash", "-c", "cd; " + text, "bash"] + arguments)
    try output.check()
    return output
  }

  /// Writes a file that the user owns; directories on the way are made.
  func put(_ text: String, _ path: String, mode: String = "0644") throws {
    try sh(
      #"mkdir -p "$(dirname "$2")"; printf %s "$1" >"$2.new"; chmod "$3" "$2.new"; mv "$2.new" "$2""#, text, path, mode)
  }

  /// Writes a unit file.
  func unit(_ name: String, _ text: String) throws {
    try put(text, "\(home)/.config/systemd/user/\(name)")
    try sh("systemctl --user daemon-reload")
  }

  /// A hook's text: it notes each event of all services.
  var recorder: String {
    """
    #!/bin/sh
    # [Match]
    # Unit=*.service
    # Event=*
    # [Hook]
    # RateLimitBurst=0
    echo "$JOURNALHOOK_UNIT $JOURNALHOOK_EVENT ${JOURNALHOOK_RESULT:--} $JOURNALHOOK_SOURCE $JOURNALHOOK_INVOCATION" >>\(log)
    """
  }

  /// Follows as a service of the user's manager; does something; ends it.
  func follow(_ body: () throws -> Void) throws {
    let text = "[Service]\nType=notify\nExecStart=journalhook follow --user\n[Install]\nWantedBy=default.target\n"
    try unit("journalhook-test.service", text)
    try sh(#": >"$1"; systemctl --user enable -q --now journalhook-test"#, log)
    defer {
      _ = try? sh("systemctl --user disable -q --now journalhook-test")
      _ = try? sh("rm -rf .local/state/journalhook .config/journalhook")
    }
    try body()
  }

  /// Waits until all that has happened so far has been answered.
  func settle() throws {
    // What only the bus has told becomes an event after a second.
    try sh(
      #"""
      count() { grep -c '^fence.service finished' "$1" || :; }
      sleep 1.2; before=$(count "$1"); systemctl --user start fence
      end=$((SECONDS + 20))
      until (($(count "$1") > before)); do ((SECONDS < end)) || exit 1; sleep 0.05; done
      """#, log)
  }

  /// What was noted of a unit: `EVENT RESULT SOURCE`.
  func events(of unit: String) throws -> [String] {
    try sh(#"cat "$1""#, log).lines.map { $0.split(separator: " ").map(String.init) }.filter { $0[0] == unit }
      .map { $0[1...3].joined(separator: " ") }
  }
}
