import Testing

extension SystemTests {
  /// Runs that wait while the system reboots.
  @Suite(.box) struct RebootTests {
    private func waits(_ unit: String, _ keys: String) -> (match: String, hook: String) {
      ("Unit=\(unit).service\nEvent=stopped", "PreviousBoots=yes\n" + keys)
    }

    @Test func `waits hold across a reboot, and what happens in the new boot supersedes them`() throws {
      try Follow.use(.service) { follow in
        let box = follow.box
        // Those that are enabled come up with the boot, the slow one only after a while.
        for (unit, text) in [("up", ""), ("slow", "ExecStartPre=/bin/sleep 3\n"), ("down", "")] {
          try box.unit(
            "\(unit).service",
            "[Service]\n\(text)ExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
        }
        try box.unit("once.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
        try box.sh("systemctl daemon-reload; systemctl enable -q up slow journalhook; systemctl start up down slow")
        for unit in ["up", "down"] {
          let settle = waits(unit, "SettleSec=\(unit == "up" ? "5min" : "20s")")
          try follow.recorder("10-settle-\(unit)", match: settle.match, hook: settle.hook)
        }
        // Due long after the boot; due while the unit is on its way up; due later, with nobody to start the unit.
        for (unit, delay) in [("up", "1h"), ("slow", "3s"), ("down", "20s")] {
          let retry = waits(unit, "RetryCount=1\nRetryDelaySec=\(delay)")
          try follow.hook(
            "20-retry-\(unit)", match: retry.match, hook: retry.hook,
            body: "echo \"retry \(unit) $JOURNALHOOK_ATTEMPT\" >>\(follow.log); exit 1")
        }
        try follow.hook(
          "30-limit", match: "Unit=once.service\nEvent=finished",
          hook: "PreviousBoots=yes\nRateLimitIntervalSec=25s\nRateLimitBurst=1", body: "echo limit >>\(follow.log)")
        try follow.start()
        try box.sh(
          "systemctl start once; systemctl start once; systemctl start once; systemctl stop down; systemctl stop slow")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE due IS NOT NULL) = 4")
        try box.sh("systemctl stop up")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE due IS NOT NULL) = 6")
        try box.reboot()

        try box.wait(until: "systemctl is-active -q up slow")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE unit IN ('up.service', 'slow.service') AND open) = 0")
        #expect(
          try follow.runs(where: "unit IN ('up.service', 'slow.service')").map {
            "\($0.hook) \($0.state) \($0.attempt)"
          }
          .sorted()
            == ["10-settle-up superseded 1", "20-retry-slow superseded 1", "20-retry-up superseded 1"])
        try follow.wait(60, until: "(SELECT count(*) FROM runs WHERE open) = 0")
        #expect(
          try follow.logged().sorted() == [
            "10-settle-down down.service stopped", "limit", "limit", "retry down 1", "retry down 2", "retry slow 1",
            "retry up 1",
          ])
        // Each began at its time.
        let delays = [
          "SELECT started - event_time BETWEEN 20000000 AND 22000000 FROM runs WHERE hook = '10-settle-down'",
          """
          SELECT later.started - earlier.ended BETWEEN 20000000 AND 22000000 FROM attempts AS earlier
            JOIN attempts AS later ON later.run = earlier.run AND later.attempt = earlier.attempt + 1
          """,
          """
          SELECT max(started) - min(event_time) BETWEEN 25000000 AND 27000000 FROM runs
            WHERE hook = '30-limit' AND state = 'succeeded'
          """,
        ]
        for query in delays { #expect(try follow.sql(query) == ["1"], "\(query)") }
        let reports = try box.sh(
          #"journalctl -q -o cat -t 30-limit | grep -c '^Hook 30-limit: 1 run is rate-limited, for once'"#)
        #expect(reports.text.trimmed == "1")
        try box.sh("systemctl disable -q up slow journalhook")
      }
    }

    @Test func `what a reboot cuts off is run again or stale, as was said, and its retry is superseded`() throws {
      try Follow.use(.service) { follow in
        let box = follow.box
        try box.unit(
          "cut.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
        try box.sh("systemctl daemon-reload; systemctl enable -q cut journalhook; systemctl start cut")
        let match = "Unit=cut.service\nEvent=stopped"
        try follow.hook(
          "40-slow", match: match, hook: "PreviousBoots=yes",
          body: #"[ "$JOURNALHOOK_ATTEMPT" -gt 1 ] || exec sleep 300"#)
        try follow.hook(
          "50-fails", match: match, hook: "PreviousBoots=yes\nRetryCount=4",
          body: "echo \"fails $JOURNALHOOK_ATTEMPT\" >>\(follow.log); exit 1")
        try follow.hook("60-stale", match: match, hook: "Parallel=yes", body: "exec sleep 300")
        try follow.start()
        try box.sh("systemctl stop cut")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state = 'running') = 2")
        // Asked a second time to end, it waits for no run.
        try box.sh(
          #"""
          setsid bash -c 'until [[ $(systemctl show -P StatusText journalhook) == Waiting* ]]; do sleep 0.05; done
            kill -TERM "$1"' bash "$(systemctl show -P MainPID journalhook)" >/dev/null 2>&1 </dev/null &
          """#)
        try box.reboot()

        try box.wait(until: "systemctl is-active -q cut journalhook")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE open) = 0")
        #expect(
          try follow.runs().map { "\($0.hook) \($0.state) \($0.attempt)" }
            == ["40-slow succeeded 2", "50-fails superseded 1", "60-stale stale 1"])
        #expect(try follow.logged() == ["fails 1"])
        func told(_ hook: String) throws -> String {
          try box.sh(#"journalctl -q -o cat -b -1 -t "$1" | grep interrupted || true"#, hook).text
        }
        #expect(try told("40-slow").contains("; it will be run again"))
        #expect(
          try told("60-stale").contains(
            "; the system shuts down, and it is not run again, because the hook does not say"))
        try box.sh("systemctl disable -q cut journalhook")
      }
    }

    @Test func `a run that a crash and a reboot have cut off is not said to be run again when it is stale`() throws {
      try Follow.use { follow in
        let box = follow.box
        for (name, keys) in [("50-stale", ""), ("60-again", "PreviousBoots=yes")] {
          try follow.hook(
            name, match: "Unit=work@crash.service\nEvent=started", hook: "Parallel=yes\n" + keys,
            body: #"[ "$JOURNALHOOK_ATTEMPT" -gt 1 ] || exec sleep 300"#)
        }
        try follow.start()
        try box.sh("systemctl start work@crash")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state = 'running') = 2")
        try follow.kill()
        try box.reboot()
        try follow.start()
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE open) = 0")
        #expect(
          try follow.runs().map { "\($0.hook) \($0.state) \($0.attempt)" }
            == ["50-stale stale 1", "60-again succeeded 2"])
        let told = try box.sh(
          #"journalctl -q -o cat _PID="$(cat "$1/pid")" | grep -E 'cut off|stale'"#, follow.directory)
        #expect(told.text.contains("of hook 50-stale was cut off by the end of journalhook.\n"))
        #expect(told.text.contains("of hook 60-again was cut off by the end of journalhook; it will be run again.\n"))
        #expect(told.text.contains("Hook 50-stale is not run, stale: "))
      }
    }
  }
}
