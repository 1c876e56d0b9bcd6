import Testing

extension SystemTests {
  /// Restarts of units that have no process of their own, and what comes up without a job.
  @Suite(.box) struct RestartTests {
    private static let units = [
      "once.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
      "simple.service": "[Service]\nRemainAfterExit=yes\nExecStart=/bin/true\n",
      "pair.socket": "[Socket]\nListenStream=/run/pair.sock\nService=idle.service\n",
      "pair.target": "[Unit]\nDescription=Pair\n",
      "pair.timer": "[Timer]\nOnActiveSec=1h\nUnit=idle.service\n",
      "pair.path": "[Path]\nPathExists=/run/none\nUnit=idle.service\n",
      "pair.slice": "[Slice]\n",
      "part.service":
        "[Unit]\nPartOf=whole.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
      "part.target": "[Unit]\nPartOf=whole.service\n",
      "idle.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
      "whole.service": "[Service]\nExecStart=/bin/sleep infinity\n",
      "refused.service":
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'test ! -e /run/refuse-it'\n",
    ]

    /// `+` is a restart job's, `!` a restart that has failed.
    private let body = #"""
      id="$JOURNALHOOK_UNIT $JOURNALHOOK_EVENT"
      [ "$JOURNALHOOK_RESTART_JOB" = 0 ] || id="$id+"
      [ "$JOURNALHOOK_SOURCE" != restart-failed ] || id="$id!"
      echo "$id"
      """#

    @Test func `a restart of a unit without a process is a pair, live and afterwards`() throws {
      try Follow.use { follow in
        let box = follow.box
        for (name, text) in Self.units { try box.unit(name, text) }
        let names = Self.units.keys.filter { $0 != "idle.service" }.sorted().joined(separator: " ")
        try box.sh("systemctl daemon-reload; rm -f /run/refuse-it; systemctl stop \(names); systemctl start \(names)")
        try follow.hook("10-note", match: "Unit=\(names)\nEvent=*", body: "{ \(body)\n} >>\(follow.log)")
        try follow.hook("20-pair", match: "Unit=*\nEvent=stopped started\nRestartJob=no", body: ":")
        try follow.start()
        let since = try box.now()
        let restarted = [
          "once.service", "simple.service", "pair.socket", "pair.target", "pair.timer", "pair.path", "pair.slice",
        ]
        for name in restarted { try box.sh(#"systemctl restart "$1""#, name) }
        try box.sh(
          "systemctl restart whole; touch /run/refuse-it; ! systemctl restart refused 2>/dev/null; systemctl stop once pair.target"
        )
        try follow.settle()

        var told: [String: [String]] = [:]
        for line in try follow.logged() {
          let words = line.split(separator: " ").map(String.init)
          told[words[0], default: []].append(words[1])
        }
        let pair = ["stopping", "stopped+", "started+", "restarted+"]
        let pairOfOneshot = ["stopping", "stopped+", "starting", "started+", "restarted+"]
        #expect(told["once.service"] == pairOfOneshot + ["stopped"])
        #expect(told["pair.target"] == pair + ["stopped"])
        for name in [
          "simple.service", "pair.socket", "pair.timer", "pair.path", "pair.slice", "whole.service", "part.target",
        ] {
          #expect(told[name] == pair, Comment(rawValue: name))
        }
        #expect(told["part.service"] == pairOfOneshot)
        #expect(told["refused.service"] == ["stopping", "stopped+", "starting", "stopped!", "failed"])
        // No hook with RestartJob=no has run for a restart but that which failed.
        let others = try follow.runs(
          where: "hook = '20-pair' AND unit IN (\(restarted.map { "'\($0)'" }.joined(separator: ", ")))")
        #expect(others.map { "\($0.unit) \($0.event)" }.sorted() == ["once.service stopped", "pair.target stopped"])

        // Whoever reads it afterwards sees the same, under the same ids.
        let live = try follow.sql("SELECT DISTINCT event_id FROM runs WHERE hook = '10-note' ORDER BY 1")
        let flags = Self.units.keys.sorted().map { "-u \($0)" }.joined(separator: " ")
        let after = try box.sh(
          #"journalctl --sync; journalhook events -o json --since "@$1" \#(flags) | sed 's/^{"id":"\([0-9a-f]*\)".*/\1/' | sort"#,
          since)
        #expect(after.lines == live)
      }
    }

    @Test func `what mount(8) mounts is told once, and nobody asks for ever`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("10-note", match: "Unit=root-a\\x2db.mount\nEvent=started stopped")
        try follow.start()
        try box.sh("mkdir -p /root/a-b; mount -t tmpfs none /root/a-b")
        try follow.wait(until: "count(*) = 1 FROM runs WHERE event = 'started' AND state = 'succeeded'")
        try box.sh("systemctl daemon-reload; umount /root/a-b")
        try follow.wait(until: "count(*) = 1 FROM runs WHERE event = 'stopped' AND state = 'succeeded'")
        try box.sh("mount -t tmpfs none /root/a-b")
        try follow.wait(until: "count(*) = 2 FROM runs WHERE event = 'started' AND state = 'succeeded'")
        try box.sh("umount /root/a-b")
        try follow.settle()
        let unit = #"10-note root-a\x2db.mount"#
        #expect(try follow.logged() == ["\(unit) started", "\(unit) stopped", "\(unit) started", "\(unit) stopped"])
        // A unit that is asked for by name and is not there is loaded, and unloaded, each time.
        let new = try box.sh(
          #"timeout 3 busctl monitor --json=short --match "type='signal',member='UnitNew'" 2>/dev/null | grep -c root-a || true"#
        )
        #expect(new.text.trimmed == "0")
      }
    }
  }
}
