import Testing

extension SystemTests {
  /// The service, the commands, and the programs in hooks.d.
  @Suite(.box) struct CommandTests {
    @Test func `the service is ready when it follows, reloads, and is there after a boot`() throws {
      try Follow.use(.service) { follow in
        let box = follow.box
        // The program man need not be installed.
        try box.sh("systemd-analyze verify --man=no journalhook.service && test -s /usr/share/man/man1/journalhook.1")
        try follow.recorder("50-a", match: "Unit=work@a.service\nEvent=started")
        try box.sh("systemctl enable -q journalhook; systemctl start journalhook; systemctl start work@a")
        #expect(try box.isActive("journalhook"))
        #expect(try box.sh("systemctl show -P StatusText journalhook").text == "Following the journal, 2 hooks.\n")
        try follow.settle()
        #expect(try follow.logged() == ["50-a work@a.service started"])
        let pid = try follow.pid
        try follow.recorder("50-b", match: "Unit=work@b.service\nEvent=started")
        try box.sh("systemctl reload journalhook")
        try box.wait(until: #"[[ $(systemctl show -P StatusText journalhook) == "Following the journal, 3 hooks." ]]"#)
        try box.wait(until: "[[ $(systemctl is-active journalhook) == active ]]")
        try follow.signal("HUP")
        try box.sh("systemctl start work@b")
        try follow.settle()
        #expect(try follow.runs().count == 2)
        #expect(try follow.pid == pid)
        #expect(try box.sh("systemctl show -P NRestarts journalhook").text == "0\n")
        try box.reboot()
        #expect(try box.isActive("journalhook"))
        try box.sh("systemctl start work@b; systemctl disable -q journalhook")
        try follow.settle()
        #expect(try follow.runs().count == 3)
      }
    }

    @Test func `events shows what happened`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.recorder("50-e", match: "Unit=work@e.service\nEvent=*")
        try follow.start()
        let since = try box.now()
        try box.sh(
          "systemctl start work@e; systemctl restart work@e; systemctl kill -s KILL work@e; systemctl start work@e2")
        try follow.settle()
        func events(_ options: String...) throws -> [String] {
          let output = try box.run(["journalhook", "events", "--since", "@\(since)"] + options)
          #expect(output.status == 0, "\(output)")
          return output.lines
        }
        let kinds = ["started", "stopping", "stopped", "started", "restarted", "stopped", "failed"]
        let json = try events("-u", "work@e", "-o", "json")
        try box.put(json.joined(separator: "\n"), follow.directory + "/events")
        let read = try box.sh(
          #"""
          sqlite3 :memory: "CREATE TABLE e(j); " ".mode list" ".separator $(printf '\001')" ".import $1/events e" ".separator |" \
            "SELECT j ->> 'event', j ->> 'id', j ->> 'restart_job' FROM e"
          """#, follow.directory
        ).lines.map { $0.split(separator: "|", omittingEmptySubsequences: false).map(String.init) }
        #expect(read.map { $0[0] } == kinds, "\(json)")
        #expect(read.filter { $0[0] == "stopped" }.map { $0[2] } == ["1", "0"])
        // A run belongs to an event by its id.
        #expect(try follow.sql("SELECT event_id FROM runs WHERE hook = '50-e' ORDER BY id") == read.map { $0[1] })
        #expect(Set(read.map { $0[1] }).count == kinds.count)
        #expect(try events("-u", "work@e", "-o", "json") == json)
        #expect(try events("-u", "work@e", "-o", "json", "-n", "2") == Array(json.suffix(2)))
        #expect(try events("-u", "work@e", "-n", "0") == [])
        let stops = try events("-u", "work@*", "-e", "stopped")
        #expect(stops.count == 2 && stops.allSatisfy { $0.contains("work@e.service stopped") }, "\(stops)")
        #expect(try events("-u", "work@e", "-u", "work@e2.service", "-e", "started", "-e", "failed").count == 4)
        #expect(try events("--until", "@\(since)", "-u", "work@e").isEmpty)

        // -f goes on.
        try box.sh(
          #"""
          timeout -k 5 20 journalhook events -f -n 1 -u 'work@live*' >"$1/live" & pid=$!
          for i in $(seq 100); do systemctl start "work@live$i"; grep -q started "$1/live" && break; sleep 0.1; done
          systemctl stop 'work@live*'
          until grep -q stopped "$1/live"; do sleep 0.03; done
          kill $pid; wait $pid || true
          """#, follow.directory)
      }
    }

    @Test func `list shows the last run`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-good", match: "Unit=work@l.service\nEvent=started", hook: "Description=What it is for", body: ":")
        try follow.hook("51-bad", match: "Unit=work@l.service\nEvent=started", body: "exit 1")
        try follow.hook("52-never", match: "Unit=work@never.service\nEvent=started", body: ":")
        try box.sh(#"ln -s /dev/null "$1/53-masked""#, follow.hooks)
        try follow.start()
        try box.sh("systemctl start work@l")
        try follow.settle()
        let options = ["--hooks", follow.hooks, "--state-dir", follow.state]
        let list = try box.run(["journalhook", "list"] + options)
        func line(_ name: String) -> String { list.lines.first { $0.hasPrefix(name) } ?? "" }
        #expect(list.status == 0)
        #expect(line("50-good").contains("active") && line("50-good").contains("succeeded"), "\(list)")
        #expect(line("50-good").contains("What it is for"))
        #expect(line("51-bad").contains("failed") && line("52-never").contains("never run"), "\(list)")
        #expect(line("53-masked").contains("masked"), "\(list)")
        // On a terminal what has failed is red.
        let shown = try box.sh(
          #"TERM=xterm script -qec "journalhook list --hooks '$1' --state-dir '$2'" /dev/null"#, follow.hooks,
          follow.state
        ).text
        #expect(shown.contains("\u{1B}[31mfailed ") && !shown.contains("\u{1B}[31msucceeded"), "\(shown)")
        let json = try box.run(["journalhook", "list", "-o", "json"] + options)
        try box.put(json.text, follow.directory + "/list")
        #expect(
          json.lines.count == list.lines.count && json.lines.allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
        #expect(json.lines.first { $0.contains("51-bad") }?.contains(#""state":"failed""#) == true, "\(json)")
        #expect(try box.run(["journalhook", "check", "--hooks", follow.hooks]).status == 0)
      }
    }

    @Test func `the programs that come along help, refuse nonsense, and tell people`() throws {
      try Follow.use { follow in
        let box = follow.box
        let programs = "/usr/lib/journalhook/hooks.d"
        for program in ["stop-dependent", "start-dependent", "notify"] {
          let help = try box.run(["\(programs)/\(program)", "--help"])
          #expect(help.status == 0 && help.text.hasPrefix("Usage: \(program)"), "\(help)")
          #expect(try box.run(["\(programs)/\(program)", "--nonsense"]).status == 64)
        }
        let http = try box.run(
          ["env", "JOURNALHOOK_UNIT=a.service", "JOURNALHOOK_EVENT=failed", "\(programs)/notify", "--to"]
            + ["webhook:http://example.org/"])
        #expect(http.status == 64 && http.errors.contains("http:// is only for this machine"), "\(http)")
        try follow.file(
          "50-tell.hook",
          "[Match]\nUnit=work@n.service\nEvent=failed\n[Hook]\nExec=notify --to journal --to \"exec:/usr/bin/tee \(follow.directory)/told\"\n"
        )
        // A unit that is not there is a failure, and no more.
        try follow.file(
          "60-no.hook", "[Match]\nUnit=work@n.service\nEvent=failed\n[Hook]\nExec=stop-dependent nonexistent.service\n")
        try follow.start(["--hooks", programs])
        try box.sh("systemctl start work@n; systemctl kill -s KILL work@n")
        try follow.wait(
          until: "(SELECT count(*) FROM runs WHERE unit = 'work@n.service' AND state IN ('succeeded', 'failed')) = 2")
        #expect(try follow.runs().map { "\($0.hook) \($0.state)" } == ["50-tell succeeded", "60-no failed"])
        #expect(try box.sh(#"cat "$1/told""#, follow.directory).text.contains(#""unit":"work@n.service""#))
        let told = try box.sh("journalctl --sync; journalctl -q -u work@n -t 50-tell -p err -o cat").text
        #expect(
          told.contains("work@n.service failed on \(box.name)") && told.contains("signal (killed, KILL)"), "\(told)")
      }
    }
  }
}
