import Testing

extension SystemTests {
  /// journalhook is killed, comes back, and has missed nothing.
  @Suite(.box) struct InterruptionTests {
    @Test(arguments: Mode.allCases) func `kill -9 in the middle of a run loses nothing and repeats only that run`(
      mode: Mode
    )
      throws
    {
      try Follow.use(mode) { follow in
        let box = follow.box
        // Time enough for ten events until systemd starts it again.
        try box.put("[Service]\nRestartSec=3s\n", "/etc/systemd/system/journalhook.service.d/slow.conf")
        try box.sh("systemctl daemon-reload")
        try follow.recorder("40-all", match: "Unit=work@[0-9].service\nEvent=started stopped")
        try follow.hook(
          "50-long", match: "Unit=work@long.service\nEvent=started",
          body: """
            echo "long $JOURNALHOOK_ATTEMPT $(pgrep -fc '[s]leep 87654')" >>\(follow.log)
            [ "$JOURNALHOOK_ATTEMPT" != 1 ] || { setsid sh -c 'trap "" TERM; sleep 87654; :' & sleep 87654; }
            """)
        try follow.start()
        try box.sh("systemctl start work@1; systemctl stop work@1; systemctl start work@long")
        try box.wait(until: #"grep -q "long 1" "$1" && (($(pgrep -fc "[s]leep 87654") >= 2))"#, follow.log)
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE hook = '40-all' AND state = 'succeeded') = 2")
        let first = try follow.pid
        try follow.kill()
        // Two of each of five units.
        try box.sh("systemctl start work@{2,3,4,5,6}; systemctl stop work@{2,3,4,5,6}")
        switch mode {
        case .byHand: try follow.start()
        case .service:
          try box.wait(
            until: #"[[ $(systemctl show -P MainPID journalhook) != [0$1] ]] && systemctl is-active -q journalhook"#,
            first)
        }
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE hook = '40-all' AND state = 'succeeded') = 12")
        try follow.settle()
        #expect(try follow.pid != first)

        for unit in 1...6 {
          let mode = unit == 1 ? "live" : "catch-up"
          #expect(
            try follow.runs(where: "unit = 'work@\(unit).service'") == [
              Run(hook: "40-all", unit: "work@\(unit).service", event: "started", mode: mode),
              Run(hook: "40-all", unit: "work@\(unit).service", event: "stopped", mode: mode),
            ])
        }
        #expect(
          try follow.runs(where: "hook = '50-long'") == [
            Run(hook: "50-long", unit: "work@long.service", event: "started", attempt: 2)
          ])
        #expect(
          try follow.sql(
            "SELECT hook, attempts.attempt, attempts.state FROM attempts JOIN runs ON id = run WHERE hook = '50-long' ORDER BY 2"
          )
            == ["50-long|1|interrupted", "50-long|2|succeeded"])
        #expect(try follow.sql("SELECT count(*) FROM attempts JOIN runs ON id = run WHERE hook = '40-all'") == ["12"])
        let logged = try follow.logged()
        #expect(logged.filter { $0.hasPrefix("40-all") }.count == 12)
        #expect(Set(logged).count == logged.count, "a run was repeated: \(logged)")
        // Nothing of the first attempt was left when the second began.
        #expect(logged.filter { $0.hasPrefix("long") } == ["long 1 0", "long 2 0"])
      }
    }

    @Test func `a run that is cut off three times has failed`() throws {
      try Follow.use { follow in
        try follow.hook(
          "50-kills", match: "Unit=work@kills.service\nEvent=started",
          body: "echo $JOURNALHOOK_ATTEMPT >>\(follow.log); exec sleep 87654")
        try follow.start()
        try follow.box.sh("systemctl start work@kills")
        for attempt in 1...3 {
          try follow.box.wait(until: #"[[ $(tail -n 1 "$1") == "$2" ]]"#, follow.log, String(attempt))
          try follow.kill()
          try follow.start()
        }
        try follow.settle()
        #expect(
          try follow.runs() == [
            Run(hook: "50-kills", unit: "work@kills.service", event: "started", state: "failed", attempt: 3)
          ])
        #expect(try follow.logged() == ["1", "2", "3"])
        #expect(try follow.isAlive)
      }
    }

    @Test func `SIGTERM lets the run under way end, and starts no other`() throws {
      try Follow.use(.service) { follow in
        let box = follow.box
        try follow.hook(
          "50-busy", match: "Unit=work@busy.service\nEvent=started",
          body: """
            echo begin >>\(follow.log)
            until [ -e \(follow.directory)/go ]; do sleep 0.05; done
            echo end >>\(follow.log)
            """)
        try follow.recorder("60-next", match: "Unit=work@busy.service\nEvent=started")
        try follow.start()
        try box.sh("systemctl start work@busy")
        try box.wait(until: #"grep -q begin "$1""#, follow.log)
        try box.sh("systemctl stop --no-block journalhook")
        try box.wait(until: "[[ $(systemctl is-active journalhook) == deactivating ]]")
        try box.wait(until: #"[[ $(systemctl show -P StatusText journalhook) == *"under way"* ]]"#)
        #expect(try follow.logged() == ["begin"])
        try box.sh(#"touch "$1/go""#, follow.directory)
        try box.wait(until: "[[ $(systemctl is-active journalhook) == inactive ]]")
        #expect(try follow.logged() == ["begin", "end"])
        #expect(try follow.runs().map(\.state) == ["succeeded", "pending"])
        try follow.start()
        try follow.settle()
        #expect(try follow.runs().map(\.state) == ["succeeded", "succeeded"])
        #expect(try follow.runs().map(\.attempt) == [1, 1])
      }
    }
  }
}
