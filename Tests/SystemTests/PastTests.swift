import Testing

extension SystemTests {
  /// Events from before journalhook was there.
  @Suite(.box) struct PastTests {
    private func arrange(_ follow: Follow, unit: String, body: String = "") throws {
      try follow.hook(
        "50-past", match: "Unit=work@\(unit).service\nEvent=started stopped",
        body: "echo \"$JOURNALHOOK_EVENT $JOURNALHOOK_MODE\" >>\(follow.log)\n\(body)")
      try follow.box.sh(#"systemctl start "work@$1"; systemctl stop "work@$1"; journalctl --sync"#, unit)
    }

    private func replay(_ follow: Follow, _ options: String...) throws -> Output {
      try follow.box.run(
        ["journalhook", "replay", "--since", "-10min", "--hooks", follow.hooks, "--state-dir", follow.state] + options)
    }

    @Test func `follow --since runs what the ledger does not have`() throws {
      try Follow.use { follow in
        try arrange(follow, unit: "since")
        try follow.start(["--since", "-10min"])
        try follow.settle()
        let expected = ["started", "stopped"].map {
          Run(hook: "50-past", unit: "work@since.service", event: $0, mode: "catch-up")
        }
        #expect(try follow.runs() == expected)
        try follow.stop()
        try follow.start(["--since", "-10min"])
        try follow.settle()
        #expect(try follow.runs() == expected)
        #expect(try follow.logged().count == 2)
        // replay finds nothing missing, beside it.
        let output = try replay(follow)
        #expect(output.status == 0)
        #expect(try follow.runs() == expected)
        try follow.stop()
        try follow.start(["--since", "-10min", "--again"])
        try follow.settle()
        #expect(try follow.runs() == expected + expected)
        #expect(try follow.logged().count == 4)
      }
    }

    @Test func `replay runs what the ledger does not have, once`() throws {
      try Follow.use { follow in
        try arrange(follow, unit: "replay")
        let first = try replay(follow)
        #expect(first.status == 0)
        let expected = ["started", "stopped"].map {
          Run(hook: "50-past", unit: "work@replay.service", event: $0, mode: "replay")
        }
        #expect(try follow.runs() == expected)
        #expect(try follow.logged() == ["started replay", "stopped replay"])
        #expect(try follow.sql("SELECT count(*) FROM cursors") == ["0"])
        #expect(try replay(follow).status == 0)
        #expect(try follow.runs() == expected)
        #expect(try replay(follow, "--again").status == 0)
        #expect(try follow.runs() == expected + expected)
        // follow does not repeat them either.
        try follow.start(["--since", "-10min"])
        try follow.settle()
        #expect(try follow.runs() == expected + expected)
        // Of a span without events there is nothing to do.
        #expect(try replay(follow, "--until", "-9min", "--again").status == 0)
        #expect(try follow.logged().count == 4)
      }
    }

    @Test func `replay fails when a run fails`() throws {
      try Follow.use { follow in
        try arrange(follow, unit: "fails", body: "exit 3")
        #expect(try replay(follow).status == 1)
        #expect(try follow.runs().map(\.state) == ["failed", "failed"])
      }
    }

    @Test func `a dry run touches nothing`() throws {
      try Follow.use { follow in
        let box = follow.box
        try arrange(follow, unit: "dry")
        let output = try replay(follow, "--dry-run")
        #expect(output.status == 0)
        #expect(output.lines.filter { $0.contains("work@dry.service") && $0.contains("50-past: would run") }.count == 2)
        let dryFollow =
          #"timeout -k 5 20 journalhook follow --dry-run --since -10min --hooks "$1/hooks" --state-dir "$1/state" >"$1/dry" &"#
          + #"pid=$!; until grep -q "stopped: 50-past: would run" "$1/dry"; do sleep 0.05; done; kill $pid; wait $pid || true"#
        try box.sh(dryFollow, follow.directory)
        #expect(try box.run(["ls", "-d", follow.state]).status != 0, "the state directory was made")
        #expect(try follow.logged().isEmpty)

        // With a ledger: nothing about it changes.
        try box.sh(#"mv "$1/hooks/50-past" "$1/kept""#, follow.directory)
        try follow.start()
        try follow.settle()
        try follow.stop()
        try box.sh(#"mv "$1/kept" "$1/hooks/50-past""#, follow.directory)
        let look = #"cd "$1"; find . -printf '%p %s %T@ %i %m\n' | sort; sha256sum journalhook.db"#
        let before = try box.sh(look, follow.state).text
        #expect(try replay(follow, "--dry-run").lines.count >= 2)
        try box.sh(dryFollow, follow.directory)
        let after = try box.sh(look, follow.state).text
        #expect(after == before, "before:\n\(before)after:\n\(after)")
        #expect(try follow.runs().isEmpty)
        #expect(try follow.logged().isEmpty)
      }
    }

    @Test func `CatchUp= chooses among what happened meanwhile`() throws {
      try Follow.use { follow in
        let box = follow.box
        for value in ["all", "latest", "none"] {
          try follow.recorder(
            "50-\(value)", match: "Unit=work@catch.service\nEvent=started stopped", hook: "CatchUp=\(value)")
        }
        try follow.start()
        try follow.settle()
        try follow.stop()
        try box.sh(
          "for i in 1 2 3; do systemctl start work@catch; systemctl stop work@catch; done; systemctl start work@catch")
        try follow.start()
        try follow.settle()
        func states(_ value: String) throws -> [String] {
          try follow.runs(where: "hook = '50-\(value)'").map { "\($0.event) \($0.state)" }
        }
        let turns = ["started", "stopped", "started", "stopped", "started", "stopped", "started"]
        #expect(try states("all") == turns.map { "\($0) succeeded" })
        #expect(
          try states("latest") == turns.dropLast().map { "\($0) superseded" } + ["started succeeded"])
        #expect(try states("none") == turns.map { "\($0) skipped" })
        let report = try box.sh(
          #"journalctl -q -o cat _PID="$(cat "$1/pid")" | grep '^Hook 50-latest: 6 runs are superseded, for work@catch.service (6): '"#,
          follow.directory)
        #expect(report.lines.count == 1)
        // What happens live counts for all of them.
        try box.sh("systemctl stop work@catch")
        try follow.settle()
        #expect(
          try follow.runs(where: "event = 'stopped' AND mode = 'live'").map { "\($0.hook) \($0.state)" }
            == ["50-all succeeded", "50-latest succeeded", "50-none succeeded"])
      }
    }

    @Test func `after a reboot only PreviousBoots=yes runs for what was before`() throws {
      try Follow.use { follow in
        let box = follow.box
        for value in ["yes", "no"] {
          try follow.recorder(
            "50-\(value)", match: "Unit=work@boot.service\nEvent=started", hook: "PreviousBoots=\(value)")
        }
        try follow.start()
        try follow.settle()
        try follow.stop()
        try box.sh("systemctl start work@boot; journalctl --sync")
        try box.reboot()
        try follow.start()
        try box.sh("systemctl start work@boot")
        try follow.settle()
        #expect(
          try follow.runs() == [
            Run(hook: "50-no", unit: "work@boot.service", event: "started", mode: "catch-up", state: "stale"),
            Run(hook: "50-yes", unit: "work@boot.service", event: "started", mode: "catch-up"),
            Run(hook: "50-no", unit: "work@boot.service", event: "started"),
            Run(hook: "50-yes", unit: "work@boot.service", event: "started"),
          ])
        #expect(
          try follow.sql("SELECT count(DISTINCT json_extract(event_json, '$.boot')) FROM runs WHERE hook <> '99-fence'")
            == ["2"])
      }
    }
  }
}
