import Testing

extension SystemTests {
  /// MaxScale and httpd: what journalhook is made for, on unchanged units.
  @Suite(.box) struct StoryTests {
    init() throws {
      let box = try #require(Box.current)
      try box.unit(
        "maxscale.service",
        """
        [Unit]
        Description=MariaDB MaxScale Database Proxy
        StartLimitIntervalSec=0
        [Service]
        Type=forking
        Restart=on-failure
        RestartSec=200ms
        PIDFile=/run/maxscale.pid
        ExecStart=/bin/sh -c 'sleep infinity & echo $! >/run/maxscale.pid'
        """)
      try box.unit("httpd.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n")
      try box.unit(
        "graceful.service",
        """
        [Service]
        ExecStart=/bin/bash -c 'trap "sleep 0.7; exit 0" TERM; while :; do sleep 0.1; done'
        ExecStopPost=/bin/sleep 0.3
        """)
      try box.sh("systemctl daemon-reload; systemctl stop maxscale httpd graceful")
    }

    /// Does something, and checks how httpd fared by it, as PID 1 tells.
    private func step(
      _ follow: Follow, _ command: String, maxscale: Bool, httpd: Bool, stops: Int, starts: Int,
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let box = follow.box
      let since = try box.now()
      try box.sh(command)
      try box.wait(
        until: #"[[ $(systemctl is-active maxscale) == "$1" && $(systemctl is-active httpd) == "$2" ]]"#,
        maxscale ? "active" : "inactive", httpd ? "active" : "inactive")
      // A run that is under way may still change httpd; so may the events of its own change.
      try follow.settle()
      #expect(try box.isActive("maxscale") == maxscale, "\(command)", sourceLocation: sourceLocation)
      #expect(try box.isActive("httpd") == httpd, "\(command)", sourceLocation: sourceLocation)
      #expect(
        try box.stops(of: "httpd.service", since: since) == stops, "httpd was stopped: \(command)",
        sourceLocation: sourceLocation)
      #expect(
        try box.starts(of: "httpd.service", since: since) == starts, "httpd was started: \(command)",
        sourceLocation: sourceLocation)
    }

    @Test(arguments: Mode.allCases) func `httpd goes down and up with MaxScale, each run once and in order`(mode: Mode)
      throws
    {
      try Follow.use(mode) { follow in
        try follow.examples("50-httpd-stop-with-maxscale.hook", "50-httpd-start-with-maxscale.hook")
        try follow.recorder("40-record", match: "Unit=maxscale.service\nEvent=stopped started")
        try follow.start(["--hooks", "/usr/lib/journalhook/hooks.d"])

        func kill(_ signal: String) -> String { "kill -s \(signal) $(cat /run/maxscale.pid); sleep 0.3" }
        try step(follow, "systemctl start maxscale", maxscale: true, httpd: true, stops: 0, starts: 1)
        try step(follow, "systemctl stop maxscale", maxscale: false, httpd: false, stops: 1, starts: 0)
        try step(follow, "systemctl start maxscale", maxscale: true, httpd: true, stops: 0, starts: 1)
        try step(follow, "systemctl restart maxscale", maxscale: true, httpd: true, stops: 1, starts: 1)
        try step(follow, kill("TERM"), maxscale: false, httpd: false, stops: 1, starts: 0)
        try step(follow, "systemctl start maxscale", maxscale: true, httpd: true, stops: 0, starts: 1)
        try step(follow, kill("KILL"), maxscale: true, httpd: true, stops: 1, starts: 1)

        let events = [
          "started", "stopped", "started", "stopped", "started", "stopped", "started", "stopped", "started",
        ]
        let expected = events.flatMap { event in
          ["40-record", event == "started" ? "50-httpd-start-with-maxscale" : "50-httpd-stop-with-maxscale"].map {
            Run(hook: $0, unit: "maxscale.service", event: event)
          }
        }
        #expect(try follow.runs() == expected)
        #expect(
          try follow.sql(
            """
            SELECT hook FROM runs WHERE hook <> '99-fence' AND (SELECT count(*) FROM attempts WHERE run = id) = 1 ORDER BY
            started, id
            """) == expected.map(\.hook))
        // One ended before the next began.
        #expect(
          try follow.sql(
            """
            SELECT count(*) FROM runs a JOIN runs b ON a.id < b.id AND a.unit = b.unit WHERE a.ended > b.started
            """) == ["0"])
        #expect(try follow.logged() == events.map { "40-record maxscale.service \($0)" })
        // The journal tells the same: start and end of each run, one after the other.
        let told = try follow.box.sh(
          #"""
          journalctl --sync
          journalctl -q -o export --output-fields=MESSAGE_ID,JOURNALHOOK_HOOK,JOURNALHOOK_EVENT --since "-10min" _COMM=journalhook _PID="$1" \
            JOURNALHOOK_UNIT=maxscale.service MESSAGE_ID=2fb84b17d0e6496c9e8bfa8cfb6d16e8 MESSAGE_ID=6bdf131afedd43f686de27f54c6ce083 |
            awk -F= '{ f[$1] = $2 } /^$/ { print f["MESSAGE_ID"] ~ /^2f/ ? "start" : "end", f["JOURNALHOOK_HOOK"], f["JOURNALHOOK_EVENT"] }'
          """#, follow.pid)
        #expect(
          told.lines == expected.flatMap { ["start \($0.hook) \($0.event)", "end \($0.hook) \($0.event)"] })
        let failures = try follow.box.sh(
          #"journalctl -q -o cat _PID="$1" -p warning"#, follow.pid)
        #expect(failures.lines.isEmpty)
      }
    }

    @Test func `the dependent of a service that stops slowly goes down once, when it is down`() throws {
      try Follow.use(.service) { follow in
        for (event, program) in [("stopped", "stop"), ("started", "start")] {
          try follow.file(
            "50-\(program).hook",
            "[Match]\nUnit=graceful.service\nEvent=\(event)\n[Hook]\nExec=\(program)-dependent httpd.service\n")
        }
        try follow.start()
        let box = follow.box
        try box.sh("systemctl start graceful")
        try box.wait(until: "systemctl is-active -q httpd")
        let since = try box.now()
        try box.sh("systemctl stop graceful")
        try box.wait(until: "! systemctl is-active -q httpd")
        try follow.settle()
        #expect(try box.stops(of: "httpd.service", since: since) == 1)
        #expect(try box.starts(of: "httpd.service", since: since) == 0)
        #expect(
          try follow.runs() == [
            Run(hook: "50-start", unit: "graceful.service", event: "started"),
            Run(hook: "50-stop", unit: "graceful.service", event: "stopped"),
          ])
        let order = try box.sh(
          #"""
          journalctl -q -o export --output-fields=UNIT --since "@$1" _PID=1 MESSAGE_ID=9d1aaa27d60140bd96365438aad20286 \
            UNIT=graceful.service UNIT=httpd.service | sed -n s/^UNIT=//p
          """#, since)
        #expect(order.lines == ["graceful.service", "httpd.service"])
      }
    }

    @Test func `with --only-stopped, what was stopped by hand stays down`() throws {
      try Follow.use(.service) { follow in
        try follow.examples("50-httpd-stop-with-maxscale.hook", "50-httpd-start-if-stopped-with-maxscale.hook")
        try follow.box.sh("systemctl start httpd maxscale")
        try follow.start()
        try step(follow, "systemctl stop maxscale", maxscale: false, httpd: false, stops: 1, starts: 0)
        try step(follow, "systemctl start maxscale", maxscale: true, httpd: true, stops: 0, starts: 1)
        try step(follow, "systemctl restart maxscale", maxscale: true, httpd: true, stops: 1, starts: 1)
        try step(follow, "systemctl stop httpd", maxscale: true, httpd: false, stops: 1, starts: 0)
        try step(follow, "systemctl stop maxscale", maxscale: false, httpd: false, stops: 0, starts: 0)
        try step(follow, "systemctl start maxscale", maxscale: true, httpd: false, stops: 0, starts: 0)
        #expect(try follow.runs(where: "state <> 'succeeded' OR attempt <> 1").isEmpty)
      }
    }

    @Test func `with RestartJob=no, a restart by hand leaves httpd alone, and a crash does not`() throws {
      try Follow.use(.service) { follow in
        try follow.examples("50-httpd-stop-without-restart.hook", "50-httpd-start-without-restart.hook")
        try follow.box.sh("systemctl start httpd maxscale")
        try follow.start()
        try step(follow, "systemctl restart maxscale", maxscale: true, httpd: true, stops: 0, starts: 0)
        #expect(try follow.runs().isEmpty)
        try step(
          follow, "kill -KILL $(cat /run/maxscale.pid); sleep 0.3", maxscale: true, httpd: true, stops: 1, starts: 1)
        try step(follow, "systemctl stop maxscale", maxscale: false, httpd: false, stops: 1, starts: 0)
        try step(follow, "systemctl start maxscale", maxscale: true, httpd: true, stops: 0, starts: 1)
        let pair = ["50-httpd-stop-without-restart", "50-httpd-start-without-restart"]
        #expect(try follow.runs().map(\.hook) == pair + pair)
      }
    }
  }
}
