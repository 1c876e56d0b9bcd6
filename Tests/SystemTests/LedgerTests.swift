import Testing

extension SystemTests {
  /// What becomes of the ledger over time and by accident, and the settings for it.
  @Suite(.box) struct LedgerTests {
    private static let settings = "/etc/journalhook/journalhook.conf"

    @Test func `a ledger that is damaged while it is used is set aside, and nothing that comes is lost`() throws {
      try Follow.use(.service) { follow in
        let box = follow.box
        try follow.recorder("50-all", match: "Unit=work@*.service\nEvent=started")
        try follow.start()
        try box.sh("systemctl start work@d1")
        try follow.settle()
        // All into the database, behind the follower's back, and then that is overwritten but for its first page.
        try box.sh(
          #"""
          cd "$1"
          sqlite3 journalhook.db "INSERT INTO meta VALUES('x', '1'); PRAGMA wal_checkpoint(TRUNCATE);" >/dev/null
          dd if=/dev/zero of=journalhook.db bs=4096 seek=1 count=200 conv=notrunc status=none
          systemctl start work@d2
          """#, follow.state)
        try box.wait(until: #"compgen -G "$1/journalhook.db.damaged-*" >/dev/null"#, follow.state)
        try box.wait(until: #"[[ $(tail -n 1 "$1") == "50-all work@d2.service started" ]]"#, follow.log)
        try box.sh("systemctl start work@d3")
        try follow.settle()
        #expect(
          try follow.logged() == ["d1", "d2", "d3"].map { "50-all work@\($0).service started" }, "lost or repeated")
        #expect(
          try box.sh(#"journalctl -q -o cat MESSAGE_ID=d645d5efb190427fa43a589734a11ab6 | grep -c 'ledger'"#).text
            == "2\n")
        #expect(try box.sh(#"ls "$1" | grep -c -- -damaged || true"#, follow.state).text == "0\n")
        // What was done before is unknown.
        let output = try box.run(["journalhook", "replay", "--since", "-1h", "--state-dir", follow.state])
        #expect(output.status == 1)
        #expect(output.errors.contains("--again"))
      }
    }

    @Test func `a ledger that was emptied is told, and the second start is like any other`() throws {
      try Follow.use { follow in
        try follow.recorder("50-all", match: "Unit=work@*.service\nEvent=started")
        try follow.start()
        try follow.box.sh("systemctl start work@e1")
        try follow.settle()
        try follow.stop()
        try follow.box.sh(#": >"$1/journalhook.db""#, follow.state)
        try follow.start()
        try follow.box.sh("systemctl start work@e2")
        try follow.settle()
        try follow.stop()
        try follow.start()
        try follow.settle()
        #expect(try follow.logged() == ["50-all work@e1.service started", "50-all work@e2.service started"])
        // There is nothing in an empty file to keep.
        #expect(try follow.box.sh(#"ls "$1" | grep -c damaged || true"#, follow.state).text == "0\n")
        #expect(
          try follow.box.sh(#"journalctl -q -o cat MESSAGE_ID=d645d5efb190427fa43a589734a11ab6 | grep -c 'is empty'"#)
            .text
            == "1\n")
      }
    }

    @Test func `what is forgotten is not replayed`() throws {
      try Follow.use { follow in
        let box = follow.box
        defer { _ = try? box.sh(#"rm -f "$1""#, Self.settings) }
        try follow.recorder("50-all", match: "Unit=work@f?.service\nEvent=started")
        try follow.start()
        for number in 1...5 { try box.sh(#"systemctl start "work@f$1""#, String(number)) }
        try follow.settle()
        try box.put("[Follow]\nHistoryKeep=2\n", Self.settings)
        try follow.stop()
        try follow.start()
        try follow.wait(until: "(SELECT count(*) FROM runs) = 2 AND (SELECT count(*) FROM attempts) = 2")
        let replay = ["journalhook", "replay", "--hooks", follow.hooks, "--state-dir", follow.state, "--since"]
        for options in [["-10min"], ["-10min", "--dry-run"]] {
          let output = try box.run(replay + options)
          #expect(output.status == 1)
          #expect(output.errors.contains("The ledger no longer has all runs"), "\(output)")
        }
        #expect(try follow.logged().count == 5)
        #expect(try box.run(replay + ["-10min", "--again"]).status == 0)
        #expect(try follow.logged().count == 10)
      }
    }

    @Test func `settings count within a second, and an error in them is told and changes nothing`() throws {
      try Follow.use { follow in
        let box = follow.box
        defer { _ = try? box.sh(#"rm -f "$1""#, Self.settings) }
        try follow.hook(
          "50-slow", match: "Unit=work@*.service\nEvent=started",
          body: "until [ -e \(follow.directory)/go ]; do sleep 0.05; done")
        try follow.start()
        try box.put("[Follow]\nJobs=1\n", Self.settings)
        try box.sh("sleep 1; systemctl start work@s1 work@s2 work@s3")
        let running = "(SELECT count(*) FROM runs WHERE state = 'running')"
        try follow.wait(until: "\(running) = 1 AND (SELECT count(*) FROM runs WHERE hook = '50-slow') = 3")
        try box.put("[Follow]\nJobs=none\n", Self.settings)
        try box.sh("sleep 1")
        try follow.wait(until: "\(running) = 1")
        let output = try box.run(["journalhook", "check", "--hooks", follow.hooks])
        #expect(output.status == 1)
        #expect(output.text.contains("\(Self.settings):2: error: Jobs=: 'none' is not a number"), "\(output)")
        #expect(try box.sh(#"journalctl -q -o cat MESSAGE_ID=18f400ff688b4de7b29fb86fd31ac7d1"#).text.contains("Jobs="))
        try box.put("[Follow]\nJobs=2\n", Self.settings)
        try follow.wait(2, until: "\(running) = 2")
        try box.sh(#"touch "$1/go""#, follow.directory)
        try follow.settle()
        #expect(try follow.runs().allSatisfy { $0.state == "succeeded" })
      }
    }
  }

  /// A ledger that somebody removes while it is in use.
  @Suite(.box) struct RemovedLedgerTests {
    @Test func `a ledger that is removed is reported, and what happens after that is answered`() throws {
      try Follow.use(.service) { follow in
        let box = follow.box
        try follow.recorder("50-log", match: "Unit=work@*.service\nEvent=started")
        try follow.start()
        try box.sh("systemctl start work@a")
        try box.wait(until: #"grep -q work@a "$1""#, follow.log)
        try box.sh("rm -rf /var/lib/journalhook; systemctl start work@b")
        try box.wait(until: #"grep -q work@b "$1" && test -e /var/lib/journalhook/journalhook.db"#, follow.log)
        try box.sh("systemctl start work@c")
        try box.wait(until: #"grep -q work@c "$1""#, follow.log)
        try follow.settle()
        let log = try follow.logged()
        #expect(log.count { $0.contains("work@a") } == 1 && log.count { $0.contains("work@c") } == 1, "\(log)")
        #expect(try box.sh("journalctl -q -o cat -u journalhook").text.contains("was removed or replaced"))
      }
    }
  }

  /// contrib/torture in small.
  @Suite(.box) struct TortureTests {
    /// Plays a scenario in the box of the suite; what it says: faults, events, lost, doubled, repeated.
    private func play(_ scenario: String, _ arguments: String...) throws -> [Int] {
      let box = try #require(Box.current)
      let output = try box.run([Repository.path + "/contrib/torture.d/" + scenario] + arguments)
      let answer = try #require(output.lines.last, "\(output)")
      let numbers = answer.split(separator: " ").prefix(5).compactMap { Int($0) }
      try #require(numbers.count == 5, "\(output)")
      if numbers[2] + numbers[3] > 0 { print(answer, try box.sh("head -n 20 /root/torture/judged").text) }
      return numbers
    }

    @Test func `killed at random moments, it loses nothing and repeats only what was cut off`() throws {
      let numbers = try play("kill", "10", "120", "by-hand")
      #expect(numbers[0] == 10 && numbers[1] >= 120)
      #expect(numbers[2...3] == [0, 0])
    }

    @Test func `after a power cut it loses nothing and repeats only what was not on disk`() throws {
      let numbers = try play("power", "4", "1")
      #expect(numbers[0] == 4 && numbers[1] > 0)
      #expect(numbers[2...3] == [0, 0])
    }

    /// Builds the tracer, and puts it into the box.
    private func putTracer() throws -> String {
      let box = try #require(Box.current)
      let text = #"""
        ! "$2" run "$3" test -e /root/calls || exit 0
        t=$(mktemp)
        $(command -v cc || command -v clang) -O1 -o "$t" "$1" && "$2" put "$3" "$t" /root/calls
        rm "$t"
        """#
      let source = Repository.path + "/contrib/torture.d/calls.c"
      try Command.run(["bash", "-euc", text, "bash", source, Repository.box, box.name]).check()
      return "/root/calls"
    }

    @Test func `the judges of the torture find what is planted`() throws {
      let numbers = try play("self-test", putTracer())
      #expect(numbers[0] > 30 && numbers[1] > 600)
      #expect(numbers[2...3] == [0, 0])
    }

    /// A sample of the points, spread over the whole run: with a fixed seed, so that a change is what makes a difference. contrib/torture
    /// takes another one each time.
    @Test(arguments: ["one", "retry", "settle", "beside", "reload", "migrate", "user"])
    func `killed at a system call, or with a call that fails, it loses nothing`(_ story: String) throws {
      let tracer = try putTracer()
      for (fault, containment) in [("kill", "trees"), ("fail", "cgroups")] {
        let numbers = try play("calls", tracer, fault, story, "follow", containment, "2", "-", "7")
        #expect(numbers[0] > 0 && numbers[1] > 0)
        #expect(numbers[2...3] == [0, 0], "\(fault)")
      }
    }
  }
}
