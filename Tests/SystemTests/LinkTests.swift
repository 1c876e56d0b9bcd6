import Testing

extension SystemTests {
  /// What is behind links and mounts counts as it is, and what is on disk can be told from what is loaded.
  @Suite(.box) struct LinkTests {
    /// Makes the hooks of all kinds, with an old and a new text each. $1: the test's directory.
    private static let make = #"""
      cd "$1"
      for v in old new; do
        mkdir -p "opt/$v"/{dirhooks,mounted,drop.d}
        for file in one middle two dirhooks/directory mounted/mount file program; do
          kind=${file##*/}
          printf '#!/bin/sh\n# [Match]\n# Unit=work@%s.service\n# Event=started\necho %s %s >>%s/log\n' \
            "$kind" "$kind" "$v" "$PWD" >"opt/$v/$file"
          chmod 755 "opt/$v/$file"
        done
        printf '[Hook]\nEnvironment=TEXT=%s\n' "$v" >"opt/$v/drop.d/text.conf"
      done
      printf '#!/bin/sh\n# [Match]\n# Unit=work@drop.service\n# Event=started\necho drop "$TEXT" >>%s/log\n' "$PWD" >hooks/drop
      chmod 755 hooks/drop
      printf '[Match]\nUnit=work@program.service\nEvent=started\n[Hook]\nExec=%s/opt/program-now/program\n' "$PWD" \
        >hooks/program.hook
      for kind in middle directory drop program; do ln -s old "opt/$kind-now"; done
      ln -s old opt/two-b; ln -s two-b opt/two-a
      ln -s "$PWD/opt/old/one" hooks/one
      ln -s "$PWD/opt/middle-now/middle" hooks/middle
      ln -s ../opt/two-a/two hooks/two
      ln -s "$PWD/opt/directory-now/dirhooks" directory
      ln -s "$PWD/opt/drop-now/drop.d" hooks/drop.d
      cp opt/old/file hooks/file
      cp -r opt/old/mounted mount
      """#

    /// Puts the old or the new text of a kind in place. $1: the test's directory, $2: the kind, $3: old or new.
    private static let flip = #"""
      flip() {
        local link=opt/$2-now target=$3
        cd "$1"
        case $2 in
          one) link=hooks/one target=$PWD/opt/$3/one ;;
          two) link=opt/two-b ;;
          file) link=opt/$3/file target=hooks/file ;;
          mount) link=opt/$3/mounted target=mount ;;
        esac
        case $2.$3 in
          file.new | mount.new) mount --bind "$link" "$target" ;;
          file.old | mount.old) umount "$target" ;;
          *) ln -s "$target" .next && mv -T .next "$link" ;;
        esac
      }
      """#

    @Test func `what links and mounts lead to counts within a second`() throws {
      try Follow.use { follow in
        let box = follow.box
        try box.sh(Self.make, follow.directory)
        try follow.start(["--hooks", follow.directory + "/directory", "--hooks", follow.directory + "/mount"])
        try follow.settle()
        print("until the new text is loaded:")
        for kind in ["one", "middle", "two", "directory", "drop", "program", "mount", "file"] {
          // Nothing happens but the change: it is noticed by itself.
          let time = try box.sh(
            Self.flip + "\n" + #"""
              pid=$4 kind=$2 since=$EPOCHREALTIME
              flip "$1" "$2" new
              end=$((SECONDS + 5))
              until at=$(journalctl -q -o json --since "@$since" _PID="$pid" | grep "Hook $kind has changed" |
                  sed -n 's/.*"__REALTIME_TIMESTAMP":"\([0-9]*\)".*/\1/p' | head -n 1) && [[ $at ]]; do
                ((SECONDS < end)) || { echo 5000; exit; }
                sleep 0.05
              done
              echo $(((at - ${since/./}) / 1000))
              """#, follow.directory, kind, "new", follow.pid
          ).text.trimmed
          print("  \(kind): \(time) ms")
          #expect(try #require(Int(time), "\(kind)") < 1000, "\(kind)")
          // And back, right before the event.
          try box.sh(
            #": >"$1/log"; systemctl restart "work@$2""#, follow.directory, kind)
          try follow.settle()
          try box.sh(Self.flip + "\n" + #"flip "$@"; systemctl restart "work@$2""#, follow.directory, kind, "old")
          try follow.settle()
          #expect(try follow.logged() == ["\(kind) new", "\(kind) old"])
        }
      }
    }

    @Test func `the journal and list tell what is loaded`() throws {
      try Follow.use { follow in
        let box = follow.box
        for name in ["a", "b", "c"] { try follow.recorder(name, match: "Unit=work@a.service\nEvent=started") }
        try follow.start()
        try follow.settle()
        func states() throws -> [String] {
          try box.run(["journalhook", "list"] + follow.options).text.split(separator: "\n").map { line in
            let columns = line.split(separator: " ", maxSplits: 1)
            let state = ["active", "changed", "not loaded yet", "removed"].first {
              columns[1].drop { $0 == " " }.hasPrefix($0)
            }
            return "\(columns[0]) \(state ?? "?")"
          }
        }
        #expect(try states() == ["99-fence active", "a active", "b active", "c active"])
        // One that does not notice shows.
        try follow.signal("STOP")
        try box.sh(#"echo : >>"$1/a"; rm "$1/b"; mv "$1/c" "$1/c.disabled"; cp -p "$1/a" "$1/d""#, follow.hooks)
        #expect(try states() == ["99-fence active", "a changed", "d not loaded yet", "b removed", "c removed"])
        try follow.signal("CONT")
        try follow.settle()
        #expect(try states() == ["99-fence active", "a active", "d active"])
        let said = try box.sh(
          #"journalctl -q -o cat _PID="$1" MESSAGE_ID=e7a1c4b03d5f4c1b9a6e2f80d94b7c35"#, follow.pid
        ).lines
        let hooks = follow.hooks
        #expect(
          said == [
            "Hook 99-fence is loaded: \(hooks)/99-fence.", "Hook a is loaded: \(hooks)/a.",
            "Hook b is loaded: \(hooks)/b.",
            "Hook c is loaded: \(hooks)/c.", "4 hooks loaded.", "Hook a has changed: \(hooks)/a.",
            "Hook b is no longer loaded: \(hooks)/b is gone.",
            "Hook c is no longer loaded: \(hooks)/c.disabled is ignored. A link to /dev/null switches a hook off in whichever "
              + "directory it lies: ln -s /dev/null /etc/journalhook/hooks.d/c",
            "Hook d is loaded: \(hooks)/d.",
          ])
      }
    }

    @Test func `the status line is the state`() throws {
      try Follow.use(.service) { follow in
        func expectStatus(_ text: String) throws {
          try follow.box.wait(until: #"[[ $(systemctl show -P StatusText journalhook) == "$1" ]]"#, text)
        }
        try follow.start()
        try expectStatus("Following the journal, 1 hook.")
        try follow.file("50-broken.hook", "[Match]\n")
        try expectStatus("Following the journal, 1 hook; 1 hook cannot be used.")
        try follow.file("50-broken.hook", "[Match]\nUnit=work@a.service\nEvent=started\n[Hook]\nExec=/bin/true\n")
        try expectStatus("Following the journal, 2 hooks.")
      }
    }
  }
}
