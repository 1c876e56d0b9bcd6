import Testing

extension SystemTests {
  /// The units of users' managers.
  @Suite(.box) struct UserTests {
    @Test func `events of the user's own units and of nobody else's, clean exits by the bus`() throws {
      let (ann, bob) = (try Person("ann"), try Person("bob"))
      for person in [ann, bob] {
        try person.unit("long.service", "[Service]\nExecStart=/bin/sleep infinity\n")
        try person.unit("of-\(person.name).service", "[Service]\nExecStart=/bin/sleep infinity\n")
      }
      try ann.unit("remain.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
      try ann.put(ann.recorder, ann.home + "/.config/journalhook/hooks.d/50-record", mode: "0755")
      try ann.follow {
        try bob.sh("systemctl --user start long of-bob; systemctl --user stop long of-bob")
        try ann.box.sh("systemctl start work@ann; systemctl stop work@ann")
        try ann.sh("s() { systemctl --user \"$@\"; }; s start of-ann remain; s restart of-ann; s stop of-ann")
        try ann.settle()
        #expect(
          try ann.events(of: "of-ann.service") == [
            "started - journal", "stopping - journal", "stopped success journal", "started - journal",
            "restarted - journal", "stopping - journal", "stopped success journal",
          ])
        #expect(try ann.events(of: "remain.service") == ["starting - journal", "started - journal"])
        for other in ["long.service", "of-bob.service", "work@ann.service"] {
          #expect(try ann.events(of: other) == [], "\(other)")
        }

        // User managers do not log the end of what ends well.
        try ann.sh("systemctl --user start long; systemctl --user kill long")
        let seconds = try ann.sh(
          #"""
          start=$EPOCHREALTIME
          until grep -q '^long.service stopped' "$1"; do sleep 0.02; done
          awk "BEGIN { print $EPOCHREALTIME - $start }"
          """#, ann.log
        ).text.trimmed
        #expect(Double(seconds) ?? 99 < 2)
        #expect(try ann.events(of: "long.service") == ["started - journal", "stopped success bus"])
      }
    }

    @Test func `the unit that is installed for users runs their hooks`() throws {
      let ann = try Person("ann")
      let hooks = ann.home + "/.config/journalhook/hooks.d"
      try ann.unit("short.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
      try ann.put(ann.recorder, hooks + "/50-record", mode: "0755")
      let before = try ann.box.run(["runuser", "-u", ann.name, "--", "journalhook", "list", "--hooks", hooks])
      #expect(before.errors.contains("systemctl start journalhook"), "\(before)")
      try ann.sh(#": >"$1"; systemctl --user enable -q --now journalhook"#, ann.log)
      defer {
        _ = try? ann.sh("systemctl --user disable -q --now journalhook")
        _ = try? ann.sh("rm -rf .local/state/journalhook .config/journalhook")
      }
      try ann.sh("systemctl --user start short")
      try ann.settle()
      #expect(try ann.events(of: "short.service").contains { $0.hasPrefix("finished") })
      let list = try ann.sh("journalhook list --user")
      #expect(list.errors == "" && list.text.hasPrefix("50-record  active   succeeded"), "\(list)")
      // It has come up with the user's manager, before what is ordinary.
      try ann.box.sh(#"systemctl restart "user@$1""#, ann.uid)
      try ann.box.wait(until: #"systemctl is-active -q "user@$1""#, ann.uid)
      let order = try ann.sh(
        "systemctl --user is-active journalhook; systemctl --user show -P Before journalhook"
      ).text
      #expect(order.hasPrefix("active\n") && order.contains("basic.target"), "\(order)")
    }

    @Test func `each end is told once, whatever comes behind it`() throws {
      let ann = try Person("ann")
      let always = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nExecStart=/bin/sleep 0.1\n"
      let units = [
        ("true", "[Service]\nExecStart=/bin/true\n"), ("short", "[Service]\nExecStart=/bin/sleep 0.1\n"),
        ("always", always + "RestartSec=50ms\n"), ("patient", always + "RestartSec=3s\n"),
        ("hidden", always + "RestartSec=50ms\nLogLevelMax=warning\n"),
        ("long", "[Service]\nExecStart=/bin/sleep infinity\n"),
      ]
      for (name, text) in units { try ann.unit(name + ".service", text) }
      try ann.put(ann.recorder, ann.home + "/.config/journalhook/hooks.d/50-record", mode: "0755")
      try ann.follow {
        // Again while nothing is known of its end, and after it is known.
        try ann.sh(
          #"""
          s() { systemctl --user "$@"; }
          for i in 1 2 3 4 5; do s start true short; sleep 0.15; done
          s start always hidden patient; sleep 1.5; s stop always hidden patient
          s start long; s daemon-reexec; s kill long; sleep 0.2; s start long; s stop long
          for i in 1 2 3; do s start --no-block long; s stop long; done
          sleep 1.2; s start short true
          """#)
        try ann.settle()
        // One start and one stop an invocation, in this order.
        let lines = try ann.sh(#"cat "$1""#, ann.log).lines.map { $0.split(separator: " ").map(String.init) }
        var told: [String: [String]] = [:]
        for line in lines where line.count == 5 && line[0] != "fence.service" {
          if ["started", "stopped", "failed"].contains(line[1]) {
            told[line[0] + " " + line[4], default: []].append(line[1])
          }
        }
        for (invocation, events) in told { #expect(events == ["started", "stopped"], "\(invocation)") }
        func count(_ unit: String) -> Int { told.keys.count { $0.hasPrefix(unit + ".service ") } }
        #expect(count("short") == 6 && count("true") == 6)
        #expect(count("always") >= 3 && count("hidden") >= 3 && count("patient") == 1)
        #expect(try ann.events(of: "patient.service").contains("stopped success bus"), "before its restart is logged")
      }
    }

    @Test func `the manager itself begins anew`() throws {
      let ann = try Person("ann")
      try ann.unit("long.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=default.target\n")
      try ann.put(ann.recorder, ann.home + "/.config/journalhook/hooks.d/50-record", mode: "0755")
      try ann.follow {
        try ann.sh("systemctl --user enable -q --now long")
        try ann.box.sh(#"systemctl restart "user@$1""#, ann.uid)
        try ann.sh("systemctl --user is-active -q long journalhook-test; systemctl --user kill long")
        try ann.settle()
        #expect(
          try ann.events(of: "long.service").filter { !$0.hasPrefix("stopping") } == [
            "started - journal", "stopped success journal", "started - journal", "stopped success bus",
          ])
      }
      try ann.sh("systemctl --user disable -q long")
    }

    @Test func `hooks reach the session of their user`() throws {
      let ann = try Person("ann")
      try ann.unit("long.service", "[Service]\nExecStart=/bin/sleep infinity\n")
      try ann.unit("other.service", "[Service]\nExecStart=/bin/sleep infinity\n")
      try ann.put(
        """
        #!/bin/sh
        # [Match]
        # Unit=long.service
        # Event=started
        env >\(ann.home)/env.new
        systemctl --user start other && mv \(ann.home)/env.new \(ann.home)/env
        """, ann.home + "/.config/journalhook/hooks.d/50-session", mode: "0755")
      try ann.follow {
        func given() throws -> [String] {
          try ann.sh("rm -f env; systemctl --user restart long")
          try ann.box.wait(until: #"[[ -e $1/env ]]"#, ann.home)
          return try ann.sh("cat env").lines
        }
        var lines = try given()
        #expect(lines.contains("XDG_RUNTIME_DIR=/run/user/" + ann.uid))
        #expect(lines.contains("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/\(ann.uid)/bus"))
        #expect(lines.contains("HOME=" + ann.home) && lines.contains("USER=ann"))
        #expect(lines.contains("JOURNALHOOK_MANAGER=user"))
        #expect(!lines.contains { $0.hasPrefix("DISPLAY=") || $0.hasPrefix("WAYLAND_DISPLAY=") })
        #expect(try ann.sh("systemctl --user is-active other").text == "active\n")
        // A desktop that comes later.
        try ann.sh("systemctl --user set-environment DISPLAY=:7 WAYLAND_DISPLAY=wayland-7 OTHER=1")
        lines = try given()
        #expect(lines.contains("DISPLAY=:7") && lines.contains("WAYLAND_DISPLAY=wayland-7"))
        #expect(!lines.contains("OTHER=1"))
        try ann.sh("systemctl --user unset-environment DISPLAY WAYLAND_DISPLAY OTHER")
        #expect(!(try given()).contains { $0.hasPrefix("DISPLAY=") })
      }
    }

    @Test func `the first of the five hook directories that has a file of a name wins`() throws {
      let ann = try Person("ann")
      let own = [
        "\(ann.home)/.config/journalhook/hooks.d", "/run/user/\(ann.uid)/journalhook/hooks.d",
        "\(ann.home)/.local/share/journalhook/hooks.d",
      ]
      let shared = ["/etc/journalhook/user-hooks.d", "/usr/lib/journalhook/user-hooks.d"]
      func hook(_ directory: String) -> String {
        "#!/bin/sh\n# [Match]\n# Unit=fence.service\n# Event=finished\necho \(directory) >>\(ann.log)\n"
      }
      for directory in own { try ann.put(hook(directory), directory + "/50-x", mode: "0755") }
      for directory in shared { try ann.box.put(hook(directory), directory + "/50-x", mode: "0755") }
      try ann.follow {
        for directory in own + shared {
          // Changes count within a second.
          try ann.sh(
            #"""
            end=$((SECONDS + 10))
            until [[ $(tail -n 1 "$1") == "$2" ]]; do
              ((SECONDS < end)) || { cat "$1" >&2; exit 1; }
              systemctl --user start fence; sleep 0.3
            done
            """#, ann.log, directory)
          try ann.box.sh(#"rm "$1/50-x""#, directory)
        }
      }
    }
  }
}
