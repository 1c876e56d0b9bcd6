import Testing

extension SystemTests {
  /// What the keys of `[Hook]` say about whether, when and how often a hook runs.
  @Suite(.box) struct RunKeyTests {
    private func match(_ unit: String, _ event: String = "stopped") -> String {
      "Unit=work@\(unit).service\nEvent=\(event)"
    }

    @Test func `a settling run waits, and is superseded by the opposite turn`() throws {
      try Follow.use { follow in
        let box = follow.box
        for event in ["stopped", "started"] {
          try follow.recorder("50-\(event)", match: match("settle", event), hook: "SettleSec=2s")
        }
        try follow.start()
        try box.sh("systemctl start work@settle")
        try follow.settle()
        try box.sh(
          #": >"$1"; u=work@settle; systemctl stop $u; systemctl start $u; systemctl stop $u; systemctl start $u"#,
          follow.log)
        try follow.settle()
        #expect(try follow.logged() == ["50-started work@settle.service started"])
        let states = try follow.runs().map { "\($0.hook) \($0.state)" }
        #expect(
          states == [
            "50-started succeeded", "50-stopped superseded", "50-started superseded", "50-stopped superseded",
            "50-started succeeded",
          ])
        // It began when it was due, and not before.
        let delays = try follow.sql(
          "SELECT started - event_time BETWEEN 2000000 AND 2500000 FROM runs WHERE state = 'succeeded' AND hook = '50-started'"
        )
        #expect(delays == ["1", "1"])
      }
    }

    @Test func `a failure is tried again, and holds up nobody else`() throws {
      try Follow.use { follow in
        let box = follow.box
        // The hook fails twice for the first event.
        let hook = "RetryCount=3\nRetryDelaySec=500ms"
        try follow.hook(
          "50-flaky", match: match("retry", "reloaded stopped started"), hook: hook,
          body: #"""
            echo "flaky $JOURNALHOOK_EVENT $JOURNALHOOK_ATTEMPT" >>\#(follow.log)
            [ "$JOURNALHOOK_EVENT" != started ] || [ "$JOURNALHOOK_ATTEMPT" -gt 2 ]
            """#)
        try follow.recorder("60-other", match: match("retry", "*"))
        try box.unit(
          "work@retry.service", "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true\n")
        try box.sh("systemctl daemon-reload")
        try follow.start()
        try box.sh("systemctl start work@retry; systemctl reload work@retry")
        try follow.settle()
        let lines = try follow.logged()
        #expect(
          lines.filter { $0.hasPrefix("flaky") } == [
            "flaky started 1", "flaky started 2", "flaky started 3", "flaky reloaded 1",
          ])
        // The other hook answered the reload before the first one was tried again.
        let other = try #require(lines.firstIndex(of: "60-other work@retry.service reloaded"))
        let again = try #require(lines.firstIndex(of: "flaky started 2"))
        #expect(other < again)
        // The delay doubles.
        let gaps = try follow.sql(
          """
          SELECT later.started - earlier.ended >= (500000 << (earlier.attempt - 1)) FROM attempts AS earlier
          JOIN attempts AS later ON later.run = earlier.run AND later.attempt = earlier.attempt + 1
          """)
        #expect(gaps == ["1", "1"])
        #expect(try follow.runs(where: "hook = '50-flaky'").map(\.state) == ["succeeded", "succeeded"])
      }
    }

    @Test func `a retry is superseded when the unit turns back, also after kill -9`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-broken", match: match("back"), hook: "RetryCount=9\nRetryDelaySec=1h",
          body: "echo \"$JOURNALHOOK_ATTEMPT\" >>\(follow.log); exit 7")
        try follow.start()
        for isKilled in [false, true] {
          try box.sh(#": >"$1"; systemctl start work@back; systemctl stop work@back"#, follow.log)
          try follow.wait(until: "(SELECT count(*) FROM runs WHERE wait = 'retry') = 1")
          if isKilled {
            try follow.kill()
            try follow.start()
          }
          try box.sh("systemctl start work@back")
          try follow.wait(until: "(SELECT count(*) FROM runs WHERE open) = 0")
          try box.sh("systemctl stop work@back")
          try follow.wait(until: "(SELECT count(*) FROM runs WHERE wait = 'retry') = 1")
          try box.sh("systemctl start work@back")
          try follow.wait(until: "(SELECT count(*) FROM runs WHERE open) = 0")
          #expect(try follow.logged() == ["1", "1"])
        }
        #expect(try follow.runs().map(\.state) == Array(repeating: "superseded", count: 4))
      }
    }

    @Test func `over its rate limit a hook answers the last event only`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-limited", match: "Unit=fence-me@*.service\nEvent=finished",
          hook: "RateLimitIntervalSec=4s\nRateLimitBurst=3", body: "echo \"$JOURNALHOOK_UNIT\" >>\(follow.log)")
        try box.unit(
          "fence-me@.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n")
        try box.sh("systemctl daemon-reload")
        try follow.start()
        try box.sh("for i in 1 2 3 4 5 6 7; do systemctl start fence-me@$i; done")
        try follow.settle()
        #expect(try follow.logged() == ["1", "2", "3", "7"].map { "fence-me@\($0).service" })
        #expect(
          try follow.runs().map(\.state)
            == [
              "succeeded", "succeeded", "succeeded", "rate-limited", "rate-limited", "rate-limited", "succeeded",
            ])
        // Those that were dropped are reported at the end of the interval.
        try box.wait(
          until: #"""
            journalctl -q -o cat _PID="$(cat "$1/pid")" | grep -q '^Hook 50-limited: 3 runs are rate-limited, for '\
            'fence-me@4.service, fence-me@5.service, fence-me@6.service: there were more events than RateLimitBurst='
            """#, follow.directory)
      }
    }

    @Test func `a rate limit holds across a restart and kill -9`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder(
          "50-page", match: match("page", "started"), hook: "RateLimitIntervalSec=10min\nRateLimitBurst=1")
        try follow.start()
        for step in 0..<3 {
          if step == 1 { try follow.stop() }
          if step == 2 { try follow.kill() }
          if step > 0 { try follow.start() }
          try follow.wait(until: "(SELECT count(*) FROM cursors) > 0")
          try box.sh("systemctl restart work@page")
          try follow.wait(until: "(SELECT count(*) FROM runs WHERE hook = '50-page') = \(step + 1)")
        }
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state IN ('pending', 'running') AND due IS NULL) = 0")
        #expect(try follow.logged() == ["50-page work@page.service started"])
        #expect(try follow.runs().map(\.state) == ["succeeded", "rate-limited", "pending"])
      }
    }

    @Test func `conditions decide when the run begins`() throws {
      try Follow.use { follow in
        let box = follow.box
        let cases: [(name: String, keys: String, state: String)] = [
          ("00-yes", "ConditionPathExists=/etc/passwd\nConditionPathIsDirectory=/etc", "succeeded"),
          ("01-no", "ConditionPathExists=!/etc/passwd", "skipped"),
          ("02-or", "ConditionPathExists=|/nowhere\nConditionFileNotEmpty=|/etc/passwd", "succeeded"),
          ("03-nor", "ConditionPathExists=|/nowhere\nConditionFileNotEmpty=|/dev/null", "skipped"),
          ("04-executable", "ConditionFileIsExecutable=/bin/true\nConditionFileIsExecutable=!/etc/passwd", "succeeded"),
          ("05-up", "ConditionUnitActive=dbus", "succeeded"),
          ("06-down", "ConditionUnitActive=%n", "skipped"),
          ("07-specifier", "ConditionPathExists=/nowhere/%e", "skipped"),
          ("08-host", "ConditionHost=no-such-host", "skipped"),
          ("09-exec", "ExecCondition=/bin/true\nExecCondition=test %e = stopped", "succeeded"),
          ("10-exec-no", "ExecCondition=/bin/true\nExecCondition=/bin/false", "skipped"),
          ("11-exec-fails", "ExecCondition=sh -c 'exit 255'", "failed"),
          ("12-exec-gone", "ExecCondition=sh -c 'kill -9 $$'", "failed"),
        ]
        for test in cases { try follow.recorder(test.name, match: match("when"), hook: test.keys) }
        try follow.start()
        try box.sh("systemctl start work@when; systemctl stop work@when")
        try follow.settle()
        #expect(try follow.runs().map { "\($0.hook) \($0.state)" } == cases.map { "\($0.name) \($0.state)" })
        let ran = cases.filter { $0.state == "succeeded" }.map { "\($0.name) work@when.service stopped" }
        #expect(try follow.logged() == ran)
      }
    }

    @Test func `a final failure is answered by another hook, which knows whose it was`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-broken", match: match("fail"), hook: "OnHookFailure=90-alarm\nRetryCount=1\nRetryDelaySec=100ms",
          body: "echo broken >>\(follow.log); exit 3")
        try follow.hook(
          "90-alarm", match: "Unit=none.service\nEvent=started", hook: "OnHookFailure=90-alarm",
          body: "echo \"alarm $JOURNALHOOK_FAILED_HOOK $JOURNALHOOK_UNIT\" >>\(follow.log); exit 1")
        try follow.start()
        try box.sh("systemctl start work@fail; systemctl stop work@fail")
        try follow.settle()
        #expect(try follow.logged() == ["broken", "broken", "alarm 50-broken work@fail.service"])
        #expect(try follow.runs().map { "\($0.hook) \($0.state)" } == ["50-broken failed", "90-alarm failed"])
      }
    }

    @Test func `a failure that cannot be answered is reported with the reason, and an answer's failure is answered`()
      throws
    {
      try Follow.use { follow in
        let box = follow.box
        let answers: [(answer: String, reason: String)] = [
          ("nosuchhook", "there is no hook 'nosuchhook'"), ("80-masked", "hook 80-masked is masked"),
          ("81-broken", "hook 81-broken is broken: .*81-broken.hook:1: "),
          ("82-refused", "hook 82-refused is refused: .*82-refused"),
          ("83-program", "/hooks/83-program is a program without a definition, not a hook"),
          ("56-self", "its OnHookFailure= closes the cycle 56-self → 56-self, which ends here"),
        ]
        for (index, (answer, _)) in answers.enumerated() {
          try follow.hook(
            answer == "56-self" ? answer : "5\(index)-fails", match: match("answer"), hook: "OnHookFailure=\(answer)",
            body: "exit 1")
        }
        // One answers the other, in a cycle of three.
        for (name, next) in [("60-a", "70-b"), ("70-b", "71-c"), ("71-c", "60-a")] {
          try follow.hook(
            name, match: name == "60-a" ? match("answer") : "Unit=none.service\nEvent=started",
            hook: "OnHookFailure=\(next)", body: "echo \(name) \"$JOURNALHOOK_FAILED_HOOK\" >>\(follow.log); exit 1")
        }
        try follow.file("81-broken.hook", "[Match]\n")
        try follow.hook("82-refused", match: match("none"), body: ":")
        try box.put("#!/bin/sh\n", "\(follow.hooks)/83-program", mode: "0755")
        try box.sh(#"ln -s /dev/null "$1/80-masked.hook"; chmod 0777 "$1/82-refused""#, follow.hooks)
        try follow.start()
        try box.sh("systemctl start work@answer; systemctl stop work@answer")
        try follow.settle()
        let journal = try box.sh(
          #"journalctl -q -o cat _PID="$(cat "$1/pid")" MESSAGE_ID=b32fbb01bd234572a6ce49bba36eb84d"#, follow.directory
        )
        .lines
        for (answer, reason) in answers {
          let pattern = try Regex("status 1; no hook is run for this failure: .*\(reason)")
          #expect(journal.filter { $0.contains(pattern) }.count == 1, "\(answer): \(journal)")
        }
        #expect(try follow.logged() == ["60-a ", "70-b 60-a", "71-c 70-b"])
        #expect(
          journal.contains {
            $0.hasPrefix("Hook 70-b failed, status 1; hook 71-c is run for this failure (OnHookFailure=): ")
          })
        #expect(journal.contains { $0.contains("its OnHookFailure= closes the cycle 60-a → 70-b → 71-c → 60-a") })
        #expect(!journal.contains { $0.contains("no longer exists") })
      }
    }

    @Test func `a run that was cut off is not run again if its hook says so`() throws {
      try Follow.use { follow in
        let box = follow.box
        for (name, rerun) in [("50-once", "no"), ("60-again", "yes")] {
          try follow.hook(
            name, match: match("cut"), hook: "RerunInterrupted=\(rerun)\nParallel=yes",
            body:
              "echo \"$JOURNALHOOK_HOOK $JOURNALHOOK_ATTEMPT\" >>\(follow.log); [ -e \(follow.directory)/go ] || sleep 99"
          )
        }
        try follow.start()
        try box.sh("systemctl start work@cut; systemctl stop work@cut")
        try box.wait(until: #"[[ $(grep -c . "$1") == 2 ]]"#, follow.log)
        try follow.kill()
        try box.sh(#"touch "$1/go""#, follow.directory)
        try follow.start()
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state = 'succeeded') = 1")
        #expect(try follow.logged().sorted() == ["50-once 1", "60-again 1", "60-again 2"])
        #expect(
          try follow.runs().map { "\($0.hook) \($0.state)" }.sorted() == ["50-once interrupted", "60-again succeeded"])
      }
    }

    @Test func `a replay beside follow keeps the order of a unit`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.start()
        let since = try box.now()
        try box.sh("for i in 1 2 3; do systemctl start work@both; systemctl stop work@both; done")
        // New hooks, which answer what is past by a replay and what comes by the follower, slowly.
        try follow.hook(
          "50-slow", match: match("both"),
          body: "echo begin >>\(follow.log); sleep 0.3; echo \"end $JOURNALHOOK_MODE\" >>\(follow.log)")
        try box.wait(
          until: #"journalhook list --hooks "$1" --state-dir "$2" | grep -q slow"#, follow.hooks, follow.state)
        try box.sh("sleep 1")
        try box.sh(
          #"""
          journalhook replay --hooks "$1" --state-dir "$2" --since "@$3" &
          systemctl start work@both; systemctl stop work@both; systemctl start work@both; systemctl stop work@both
          wait $!
          """#, follow.hooks, follow.state, since)
        try follow.settle()
        let lines = try follow.logged()
        #expect(lines.count == 10)
        for (index, line) in lines.enumerated() { #expect((line == "begin") == (index % 2 == 0), "\(lines)") }
        // One run an event, whoever has done it.
        #expect(try follow.sql("SELECT count(*), count(DISTINCT event_id) FROM runs WHERE hook = '50-slow'") == ["5|5"])
      }
    }

    @Test func `hooks that form a cycle are suspended and named`() throws {
      try Follow.use { follow in
        let box = follow.box
        for (name, own, other) in [("50-ping", "a", "b"), ("50-pong", "b", "a")] {
          try follow.hook(
            name, match: match(own, "started"), body: "echo \(name) >>\(follow.log); systemctl restart work@\(other)")
        }
        // One that does nothing of the kind goes on.
        try follow.hook("60-witness", match: match("a", "started"), hook: "RateLimitBurst=0", body: ":")
        let check = try box.run(["journalhook", "check", follow.hooks])
        #expect(check.text.contains("50-ping → 50-pong → 50-ping"))
        try follow.start()
        try box.sh("systemctl start work@b")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state = 'skipped') >= 1")
        try follow.settle()
        let lines = try follow.logged()
        #expect((20...22).contains(lines.count), "\(lines.count)")
        let report = try box.sh(
          #"journalctl -q -o cat -p err _PID="$(cat "$1/pid")" | grep -c 'cycle, 10 times in 5 minutes: .*50-p[io]ng → 50-p[io]ng'"#,
          follow.directory)
        #expect(report.text.trimmed == "1")
        // Suspended, not broken: others still answer.
        try box.sh(#": >"$1"; systemctl restart work@a"#, follow.log)
        try follow.settle()
        #expect(try follow.logged() == [])
        #expect(try follow.runs(where: "hook = '60-witness' AND state <> 'succeeded'") == [])
      }
    }

    @Test func `a cycle that branches is suspended, too`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-both", match: "Unit=work@l.service work@r.service\nEvent=started", hook: "RateLimitBurst=0",
          body: "echo \"$JOURNALHOOK_UNIT\" >>\(follow.log); systemctl restart work@l work@r")
        try follow.start()
        try box.sh("systemctl start work@l")
        try follow.wait(until: "(SELECT count(DISTINCT unit) FROM runs WHERE state = 'skipped') = 2")
        try follow.settle()
        #expect(try follow.logged().count < 40)
      }
    }

    @Test func `a hook that drives itself by new units is suspended and named`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-any", match: "Unit=*.service\nEvent=failed",
          body: "echo \"$JOURNALHOOK_UNIT\" >>\(follow.log); systemd-run --no-block -q /bin/false")
        try box.unit("fails.service", "[Service]\nExecStart=/bin/false\n")
        try box.sh("systemctl daemon-reload")
        try follow.start()
        try box.sh("systemctl start fails")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state = 'skipped') = 1")
        try follow.settle()
        let units = try follow.logged()
        #expect(units.count == 10, "\(units)")
        let reports = try box.sh(
          #"journalctl -q -o cat -p err _PID="$(cat "$1/pid")" | grep 'Hook 50-any drives itself in a cycle, 10 times in 5 minutes'"#,
          follow.directory)
        #expect(reports.lines.count == 1)
        #expect(reports.text.contains(units.joined(separator: " → ")))
        // What fails by itself is answered still, and what comes of it is not.
        try box.sh(#": >"$1"; systemctl start fails"#, follow.log)
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state = 'skipped') = 2")
        try follow.settle()
        #expect(try follow.logged() == ["fails.service"])
      }
    }

    @Test func `units that somebody else makes in a row, while a hook runs, are all answered`() throws {
      try Follow.use { follow in
        try follow.hook(
          "50-any", match: "Unit=row-*.service\nEvent=failed", hook: "RateLimitBurst=0",
          body: "echo \"$JOURNALHOOK_UNIT\" >>\(follow.log); sleep 0.3")
        try follow.start()
        try follow.box.sh("for i in $(seq 30); do systemd-run -q --unit=row-$i false; sleep 0.05; done")
        try follow.settle()
        #expect(Set(try follow.logged()).count == 30)
      }
    }

    @Test func `of a backlog's last turn a settling run begins by itself`() throws {
      try Follow.use { follow in
        let box = follow.box
        for event in ["stopped", "started"] {
          try follow.recorder("50-\(event)", match: match("late", event), hook: "CatchUp=latest\nSettleSec=2s")
        }
        try follow.start()
        try follow.stop()
        try box.sh("systemctl start work@late; systemctl stop work@late; systemctl start work@late")
        try follow.start()
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state = 'succeeded') = 1")
        #expect(try follow.logged() == ["50-started work@late.service started"])
      }
    }

    @Test func `a drain costs no processor time, and does not wait for a hook that waits for it`() throws {
      try Follow.use(.service) { follow in
        let box = follow.box
        try follow.hook("50-slow", match: match("drain", "started"), body: "sleep 4")
        try follow.start()
        try box.sh("systemctl start work@drain")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE state = 'running') = 1")
        let pid = try follow.pid
        try box.sh("systemctl stop --no-block journalhook; systemctl restart work@drain")
        let ticks = try box.sh(
          #"ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }; a=$(ticks "$1"); sleep 2; echo $(($(ticks "$1") - a))"#,
          pid
        ).text.trimmed
        #expect(try #require(Int(ticks)) < 50, "of 200")
        try box.sh("systemctl stop journalhook")
        try follow.hook(
          "60-self", match: "Unit=journalhook.service\nEvent=started", body: "systemctl restart journalhook.service")
        try box.sh("systemctl start journalhook")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE hook = '60-self' AND state = 'skipped') >= 1")
        try box.sh(#"rm "$1/60-self""#, follow.hooks)
        try box.wait(until: "systemctl is-active -q journalhook")
        try follow.settle()
        #expect(try box.isActive("journalhook.service"))
      }
    }
  }
}
