import Glibc
import Testing

extension SystemTests {
  /// What the journal does not have any more, or never had.
  @Suite(.box) struct GapTests {
    init() throws {
      let box = try #require(Box.current)
      try box.unit("fail@.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n")
      try box.sh("systemctl daemon-reload")
    }

    private func gaps(_ follow: Follow) throws -> [String] {
      guard try follow.sql("SELECT count(*) FROM sqlite_master WHERE name = 'gaps'") == ["1"] else { return [] }
      return try follow.sql("SELECT kind FROM gaps WHERE since < until AND noticed >= since ORDER BY id")
    }

    /// The events that were answered, with their source.
    private func told(_ follow: Follow, _ unit: String) throws -> [String] {
      try follow.sql(
        """
        SELECT event || ' ' || json_extract(event_json, '$.source') FROM runs WHERE hook = '50-record' AND unit = '\(unit)'
        ORDER BY id
        """)
    }

    private func isTold(_ unit: String, _ event: String) -> String {
      "EXISTS (SELECT * FROM runs WHERE hook = '50-record' AND unit = '\(unit)' AND event = '\(event)' AND state = 'succeeded')"
    }

    private func knows(_ unit: String) -> String { "EXISTS (SELECT * FROM units WHERE unit = '\(unit)')" }

    private let vacuum = """
      for i in 1 2 3; do journalctl -q --rotate; logger between; done
      journalctl -q --rotate; journalctl -q --vacuum-size=1
      """

    @Test func `a vacuumed cursor is told, and what happened meanwhile is found`() throws {
      try Follow.use { follow in
        let box = follow.box
        try box.sh("systemctl start work@old")
        try follow.recorder(
          "50-record", match: "Unit=work@old work@down work@up work@glob* fail@x\nEvent=started stopped failed")
        try follow.start()
        // Known although it was up before: what follows a first start is asked for once.
        try follow.wait(until: knows("work@old.service"))
        try box.sh("systemctl start work@down work@glob1 fail@x")
        try follow.settle()
        try follow.stop()
        try box.sh(
          "systemctl stop work@old work@down work@glob1; systemctl start work@up; systemctl kill -s KILL fail@x")
        try box.wait(until: "systemctl is-failed -q fail@x")
        try box.sh(vacuum)
        try follow.start()
        for unit in ["old", "down", "glob1"] { try follow.wait(until: isTold("work@\(unit).service", "stopped")) }
        try follow.wait(until: isTold("fail@x.service", "failed"))
        try follow.settle()
        #expect(try gaps(follow) == ["vacuumed"])
        #expect(try told(follow, "work@old.service") == ["stopped reconciled"])
        #expect(try told(follow, "work@down.service") == ["started journal", "stopped reconciled"])
        #expect(try told(follow, "work@glob1.service") == ["started journal", "stopped reconciled"])
        #expect(try told(follow, "work@up.service") == ["started reconciled"])
        #expect(
          try told(follow, "fail@x.service") == ["started journal", "stopped reconciled", "failed reconciled"])
        let text = try box.sh("journalctl -q -o cat MESSAGE_ID=bb76af92a6714a0a9a17e8847ede1ef5").text
        #expect(text.contains(" from ") && text.contains(" until "))
        // Told once, also after a crash.
        try follow.kill()
        try follow.start()
        try follow.settle()
        #expect(try gaps(follow) == ["vacuumed"])
        #expect(try follow.logged().count == 9)
      }
    }

    @Test func `nothing is told where nothing can be missing`() throws {
      try Follow.use { follow in
        try follow.recorder("50-record", match: "Unit=work@calm\nEvent=*")
        try follow.start()
        try follow.settle()
        // While it follows: all was read.
        try follow.box.sh(vacuum)
        try follow.box.sh("for i in 1 2 3; do logger chatter; done; journalctl --sync")
        try follow.settle()
        try follow.kill()
        try follow.start()
        try follow.settle()
        #expect(try gaps(follow).isEmpty)
      }
    }

    @Test(arguments: ["future-cursor", "foreign-cursor"]) func `a place that cannot be here is told`(kind: String)
      throws
    {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("50-record", match: "Unit=work@place\nEvent=started stopped")
        try follow.start()
        try box.sh("systemctl start work@place")
        try follow.settle()
        try follow.stop()
        try box.sh("systemctl stop work@place")
        let cursor =
          kind == "future-cursor"
          ? "s=0123456789abcdef0123456789abcdef;i=fffff;b=0123456789abcdef0123456789abcdef;m=7fffffffff;t=7612190af9ab6;x=1"
          : "s=0123456789abcdef0123456789abcdef;i=1;b=fedcba98765432100123456789abcdef;m=7f;t=' || printf('%x', (SELECT max(event_time) FROM runs)) || ';x=1"
        _ = try follow.sql("UPDATE cursors SET cursor = '\(cursor)'")
        if kind == "foreign-cursor" {
          _ = try follow.sql(
            """
            UPDATE boots SET machine = '0123456789abcdef0123456789abcdef', boot = 'fedcba98765432100123456789abcdef';
            UPDATE units SET machine = '0123456789abcdef0123456789abcdef'; DELETE FROM unit_events
            """)
        }
        try follow.start()
        try follow.wait(until: isTold("work@place.service", "stopped"))
        try follow.settle()
        #expect(try gaps(follow) == [kind])
        #expect(try told(follow, "work@place.service").count == 2)
        // And it follows: no silence until the time of that place.
        try box.sh("systemctl start work@place")
        try follow.settle()
        #expect(try told(follow, "work@place.service").count == 3)
      }
    }

    @Test func `journald's own absence is told, and what it lost is found`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("50-record", match: "Unit=work@away work@stall\nEvent=started stopped")
        try follow.start()
        try box.sh("systemctl start work@away work@stall")
        try follow.settle()
        try box.sh("systemctl kill -s KILL systemd-journald; systemctl stop work@away")
        try follow.wait(until: isTold("work@away.service", "stopped"))
        try follow.settle()
        #expect(try gaps(follow) == ["journald-away"])
        #expect(try told(follow, "work@away.service").count == 2)
        // Held up, so that PID 1 has to drop what it has to say.
        try box.sh(
          """
          pid=$(systemctl show -P MainPID systemd-journald); kill -STOP "$pid"
          trap 'kill -CONT "$pid"' EXIT
          systemctl stop work@stall; for i in {1..300}; do echo "$i" | systemd-cat -t noise & done
          systemctl start work@stall; systemctl restart work@stall; sleep 2
          """)
        try follow.wait(until: "(SELECT count(*) FROM gaps) = 2")
        try follow.wait(until: "(SELECT count(*) FROM runs WHERE unit = 'work@stall.service') = 5")
        try follow.settle()
        #expect(
          try follow.sql("SELECT event FROM runs WHERE unit = 'work@stall.service' ORDER BY id")
            == ["started", "stopped", "started", "stopped", "started"])
        #expect(try gaps(follow) == ["journald-away", "journald-away"])
      }
    }

    @Test func `a journal that is removed while it is followed is told`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("50-record", match: "Unit=work@removed\nEvent=started stopped")
        try follow.start()
        try box.sh("systemctl start work@removed")
        try follow.settle()
        try box.sh("rm /var/log/journal/*/system.journal; systemctl stop work@removed")
        try follow.wait(until: isTold("work@removed.service", "stopped"))
        try box.wait(until: "logger more; [[ -e $(echo /var/log/journal/*/system.journal) ]]")
        try follow.wait(until: "(SELECT count(*) FROM gaps WHERE kind = 'deleted') = 1")
        try follow.settle()
        #expect(try told(follow, "work@removed.service").count == 2)
      }
    }
  }

  /// Units by their other names.
  @Suite(.box) struct AliasTests {
    @Test func `a hook on an alias runs for the unit, also when the alias comes later`() throws {
      try Follow.use { follow in
        let box = follow.box
        try box.unit("real.service", "[Service]\nExecStart=/bin/sleep infinity\n")
        try box.sh("systemctl daemon-reload")
        try follow.recorder("50-alias", match: "Unit=other\nEvent=started")
        try follow.start()
        try box.sh("systemctl start real; systemctl stop real")
        try follow.settle()
        #expect(try follow.runs().isEmpty)
        try box.sh("ln -s real.service /etc/systemd/system/other.service; systemctl daemon-reload")
        try box.wait(
          until: #"journalhook list --hooks "$1" | grep -q "other.service (alias of real.service)""#, follow.hooks)
        try box.sh("systemctl start other")
        try follow.settle()
        #expect(try follow.runs() == [Run(hook: "50-alias", unit: "real.service", event: "started")])
        // Known before the backlog is answered.
        try follow.stop()
        try box.sh("systemctl restart real")
        try follow.start()
        try follow.settle()
        #expect(try follow.runs().map(\.mode) == ["live", "catch-up"])
        try box.sh("systemctl stop real; rm /etc/systemd/system/{other,real}.service; systemctl daemon-reload")
      }
    }
  }
}
