import Testing

extension SystemTests {
  /// A user's journalhook runs what that user or root has written, as that user and as nobody else.
  @Suite(.box) struct UserTrustTests {
    private static let ann = #"""
      uid=$(id -u ann 2>/dev/null) || { useradd -m ann; uid=$(id -u ann); }
      as_ann() {
        setpriv --reuid "$uid" --regid "$uid" --init-groups env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/home/ann USER=ann \
          XDG_RUNTIME_DIR="/run/user/$uid" "$@"
      }
      """#

    @Test func `hooks of a user never run as anyone else`() throws {
      let box = try #require(Box.current)
      try box.sh(
        Self.ann + #"""

          useradd -M bob; loginctl enable-linger ann
          for i in $(seq 200); do [[ -S /run/user/$uid/systemd/private && -S /run/user/$uid/bus ]] && break; sleep 0.05; done
          as_ann mkdir -p /home/ann/.config/systemd/user /home/ann/hooks
          chmod -R go-w /home/ann
          printf '[Service]\nExecStart=/bin/sleep infinity\n' >/home/ann/.config/systemd/user/long.service
          hook() {
            printf '#!/bin/sh\n# [Match]\n# Unit=long.service\n# Event=started\n# [Hook]\n# %s\necho "$JOURNALHOOK_HOOK $(id -u) $(id -G)" >>/home/ann/log\n' \
              "$2" >"/home/ann/hooks/$1"
            chmod 0755 "/home/ann/hooks/$1"
            chown "$3" "/home/ann/hooks/$1"
          }
          hook 10-own '' ann; hook 11-by-root '' root; hook 12-named User=ann ann
          hook 20-of-bob '' bob; hook 21-root User=root ann; hook 22-bob User=bob ann; hook 23-group Group=root ann
          hook 24-setuid '' root; chmod 4755 /home/ann/hooks/24-setuid
          as_ann systemctl --user daemon-reload
          (as_ann setsid journalhook follow --user --hooks /home/ann/hooks --state-dir /home/ann/state >/home/ann/out 2>&1 </dev/null &)
          for i in $(seq 200); do
            journalctl -q -o cat MESSAGE_ID=d1165d4871b840da8b7461e7fb4bef1b _UID="$uid" | grep -q . && break; sleep 0.05
          done
          as_ann systemctl --user start long
          """#)
      try box.wait(
        until: #"""
          [[ $(sqlite3 -cmd ".timeout 5000" /home/ann/state/journalhook.db \
            "SELECT count(*) FROM runs WHERE state IN ('succeeded', 'failed')") == 6 ]]
          """#)
      let uid = try box.sh("id -u ann").text.trimmed
      let gid = try box.sh("id -g ann").text.trimmed
      let lines = try box.sh("sort /home/ann/log").lines
      #expect(lines == ["10-own", "11-by-root", "12-named"].map { "\($0) \(uid) \(gid)" }, "\(lines)")
      print(lines.joined(separator: "\n"))
      let states = try box.sh(
        #"sqlite3 /home/ann/state/journalhook.db "SELECT hook, state, reason FROM runs ORDER BY hook""#
      ).lines
      print(states.joined(separator: "\n"))
      for name in ["21-root", "22-bob", "23-group"] {
        #expect(states.contains { $0.hasPrefix("\(name)|failed|") && $0.contains("run as the user") }, "\(states)")
      }
      let list = try box.sh(
        Self.ann + "\nas_ann journalhook list --user --hooks /home/ann/hooks --state-dir /home/ann/state"
      ).lines
      for name in ["20-of-bob", "24-setuid"] {
        #expect(list.contains { $0.hasPrefix(name) && $0.contains("refused") }, "\(list)")
      }
    }
  }
}
