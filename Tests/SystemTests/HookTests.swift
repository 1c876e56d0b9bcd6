import Testing

extension SystemTests {
  /// Hook files while journalhook runs, what hooks are given, and in which order they run.
  @Suite(.box) struct HookTests {
    @Test(arguments: Mode.allCases) func `an event counts for the hooks on disk when it happens`(mode: Mode) throws {
      try Follow.use(mode) { follow in
        let numbers = (0..<10).map(String.init)
        for number in numbers {
          let text =
            "#!/bin/sh\n# [Match]\n# Unit=work@\(number).service\n# Event=started\necho \(number) >>\(follow.log)\n"
          try follow.box.put(text, "\(follow.directory)/ready/\(number)", mode: "0755")
        }
        try follow.start()
        try follow.settle()
        try follow.box.sh(
          #"for i in {0..9}; do cp "$1/ready/$i" "$2"; systemctl restart "work@$i"; done"#, follow.directory,
          follow.hooks)
        try follow.settle()
        #expect(try follow.logged().sorted() == numbers)
        try follow.box.sh(#"for i in {0..9}; do rm "$1/$i"; systemctl restart "work@$i"; done"#, follow.hooks)
        try follow.settle()
        #expect(try follow.logged().count == 10)
      }
    }

    @Test func `changes of hook files count within a second`() throws {
      try Follow.use { follow in
        let box = follow.box
        let high = follow.directory + "/high"
        try box.sh(#"mkdir "$1""#, high)
        try follow.start(["--hooks", high])
        /// What the hooks wrote for one start of a unit, a second after the last change.
        func answer(_ unit: String = "a") throws -> [String] {
          try box.sh(#": >"$1"; sleep 1; systemctl restart "work@$2""#, follow.log, unit)
          try follow.settle()
          return try follow.logged()
        }
        let match = "Unit=work@a.service\nEvent=started"
        #expect(try answer() == [])
        try follow.hook("50-x", match: match, body: "echo one >>\(follow.log)")
        #expect(try answer() == ["one"])
        try follow.hook("50-x", match: match, body: "echo two >>\(follow.log)")
        #expect(try answer() == ["two"])
        // Written in place, as editors and `cat >` do.
        try box.sh(#"sed s/two/three/ "$1/50-x" >"$1/.copy"; cat "$1/.copy" >"$1/50-x"; rm "$1/.copy""#, follow.hooks)
        #expect(try answer() == ["three"])
        // A drop-in changes one key.
        try box.put("[Match]\nUnit=\nUnit=work@b.service\n", follow.hooks + "/50-x.d/other.conf")
        #expect(try answer() == [])
        #expect(try answer("b") == ["three"])
        try box.put("[Match]\nUnit=\nUnit=work@a.service work@b.service\n", follow.hooks + "/50-x.d/other.conf")
        #expect(try answer() == ["three"])
        try box.sh(#"rm -r "$1/50-x.d""#, follow.hooks)
        #expect(try answer("b") == [])
        // The second directory has one of its own, which counts only when the first has none.
        try box.sh(#"sed s/three/high/ "$1/50-x" >"$2/50-x"; chmod 755 "$2/50-x""#, follow.hooks, high)
        #expect(try answer() == ["three"])
        try box.sh(#"rm "$1/50-x""#, follow.hooks)
        #expect(try answer() == ["high"])
        try box.sh(#"ln -s /dev/null "$1/50-x""#, follow.hooks)
        #expect(try answer() == [])
        try box.sh(#"rm "$1/50-x" "$2/50-x""#, follow.hooks, high)
        #expect(try answer() == [])
      }
    }

    @Test func `an event is answered though nothing else is logged`() throws {
      try Follow.use { follow in
        try follow.start()
        // A look at the journal may fall into the moment in which journald writes: once in some sixty times.
        try follow.box.sh(
          #"""
          for i in $(seq 200); do
            systemctl start fence
            end=$((SECONDS + 5))
            until [[ $(sqlite3 -cmd ".timeout 5000" "$1/journalhook.db" "SELECT count(*) FROM runs") == "$i" ]]; do
              ((SECONDS < end)) || { echo "event $i is not answered" >&2; exit 1; }
              sleep 0.01
            done
          done
          """#, follow.state)
      }
    }

    @Test func `a new body never runs under an old definition`() throws {
      try Follow.use { follow in
        let box = follow.box
        func text(_ unit: Int) -> (match: String, body: String) {
          ("Unit=work@v\(unit).service\nEvent=started", "echo \"v\(unit) $JOURNALHOOK_UNIT\" >>\(follow.log)")
        }
        try follow.hook("50-v", match: text(1).match, body: text(1).body)
        try follow.hook("kept-2", match: text(2).match, body: text(2).body)
        try box.sh(#"mv "$1/kept-2" "$2/2"; cp -a "$1/50-v" "$2/1""#, follow.hooks, follow.directory)
        try follow.start()
        // The event comes as close behind the change as can be, and is the old definition's.
        try box.sh(
          #"""
          for i in 1 2 3 4 5 6 7 8; do
            systemctl stop work@v1 work@v2
            old=$((i % 2 + 1)) new=$((2 - i % 2))
            cp -a "$2/$old" "$2/next"; mv "$2/next" "$1/50-v"; sleep 0.4
            if ((i % 3)); then cp -a "$2/$new" "$2/next"; mv "$2/next" "$1/50-v"; else cat "$2/$new" >"$1/50-v"; fi
            systemctl start "work@v$old"
          done
          """#, follow.hooks, follow.directory)
        try follow.settle()
        for line in try follow.logged() {
          let words = line.split(separator: " ")
          #expect(words.count == 2 && words[1] == "work@\(words[0]).service", "\(line)")
        }
        // An executable that has lost its definition runs nothing.
        try box.sh(
          #": >"$3"; cp -a "$2/1" "$1/50-v"; sleep 1; printf '#!/bin/sh\necho none >>"%s"\n' "$3" >"$1/50-v"; systemctl restart work@v1"#,
          follow.hooks, follow.directory, follow.log)
        try follow.settle()
        #expect(try follow.logged() == [])
      }
    }

    @Test func `a hook gets the event in its environment and on standard input, and nothing else`() throws {
      try Follow.use { follow in
        let box = follow.box
        try follow.hook(
          "50-env", match: "Unit=work@env.service\nEvent=stopped",
          body:
            "tr '\\0' '\\n' </proc/$$/environ >\(follow.directory)/env; cat >\(follow.directory)/event; echo '<3>told'; echo plain >&2"
        )
        // One that reads nothing is no failure.
        try follow.hook("60-deaf", match: "Unit=work@env.service\nEvent=stopped", body: ":")
        try follow.start()
        try box.sh("systemctl start work@env; systemctl kill -s KILL work@env")
        try follow.wait(
          until: "(SELECT count(*) FROM runs WHERE unit = 'work@env.service' AND state = 'succeeded') = 2")
        let lines = try box.sh(#"cat "$1/env""#, follow.directory).lines
        var given: [String: String] = [:]
        for line in lines {
          let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
          given[parts[0]] = parts.count > 1 ? parts[1] : nil
        }
        let prefix = "JOURNALHOOK_"
        #expect(Set(given.keys.filter { !$0.hasPrefix(prefix) }) == ["PATH", "LANG", "HOME", "USER"])
        #expect(given["HOME"] == "/root" && given["USER"] == "root")
        let expected = [
          "EVENT": "stopped", "UNIT": "work@env.service", "RESULT": "signal", "RESTART_JOB": "0", "AUTO_RESTART": "0",
          "EXIT_CODE": "killed", "SOURCE": "journal", "HOOK": "50-env", "HOOK_PATH": follow.hooks + "/50-env",
          "ATTEMPT": "1", "MODE": "live", "MANAGER": "system",
          "MACHINE": try box.sh("cat /etc/machine-id").text.trimmed,
          "BOOT": try box.sh("tr -d - </proc/sys/kernel/random/boot_id").text.trimmed,
          "HOSTNAME": box.name,
          "STATE_DIRECTORY": follow.state + "/hooks/50-env",
        ]
        for (name, value) in expected { #expect(given[prefix + name] == value, "\(name)") }
        #expect(["9", "KILL"].contains(given[prefix + "EXIT_STATUS"]))
        #expect(given[prefix + "INVOCATION"]?.count == 32)
        for name in ["RUN_ID", "MESSAGE", "TIME", "CURSOR"] {
          #expect(given[prefix + name]?.isEmpty == false, "\(name)")
        }
        #expect(try box.sh(#"stat -c '%a %U' "$1""#, follow.state + "/hooks/50-env").text == "700 root\n")

        // The JSON says the same.
        #expect(try box.sh(#"wc -l <"$1/event""#, follow.directory).text == "1\n")
        let json = try box.sh(
          #"""
          sqlite3 :memory: "SELECT json_valid(e), e ->> 'event', e ->> 'unit', e ->> 'result', e ->> 'restart_job', e ->> 'invocation',
            e ->> 'time', e ->> 'cursor', e ->> 'manager', e ->> 'source' FROM (SELECT readfile('$1/event') || '' AS e)"
          """#, follow.directory
        ).text.trimmed
        let values = ["INVOCATION", "TIME", "CURSOR", "MANAGER", "SOURCE"].map { given[prefix + $0] ?? "?" }
        #expect(json == (["1", "stopped", "work@env.service", "signal", "0"] + values).joined(separator: "|"))

        // What it printed is in the journal, among the unit's own entries.
        let told = try box.sh(
          #"journalctl --sync; journalctl -q -u work@env -t 50-env -o export --output-fields=MESSAGE,PRIORITY JOURNALHOOK_RUN_ID="$1" | grep -aE '^(MESSAGE|PRIORITY)='"#,
          given[prefix + "RUN_ID"] ?? ""
        ).text
        let pairs = Set(told.split(separator: "\n").map(String.init))
        #expect(pairs.isSuperset(of: ["MESSAGE=told", "PRIORITY=3", "MESSAGE=plain"]), "\(told)")
      }
    }

    @Test func `hooks of a unit run one at a time by file name, units side by side, up to --jobs`() throws {
      try Follow.use { follow in
        let box = follow.box
        func slow(_ name: String, _ hook: String = "") throws {
          try follow.hook(
            name, match: "Unit=work@*.service\nEvent=started stopped", hook: hook,
            body: "echo \"$JOURNALHOOK_UNIT $JOURNALHOOK_EVENT $JOURNALHOOK_HOOK\" >>\(follow.log); sleep 0.4")
        }
        for name in ["60-b", "50-z", "50-a"] { try slow(name) }
        try follow.start(["--jobs", "2"])
        try box.sh("systemctl start work@{1,2,3}; systemctl stop work@1")
        try follow.settle()
        for unit in 1...3 {
          let events = unit == 1 ? ["started", "stopped"] : ["started"]
          let expected = events.flatMap { event in
            ["50-a", "50-z", "60-b"].map { "work@\(unit).service \(event) \($0)" }
          }
          #expect(try follow.logged().filter { $0.hasPrefix("work@\(unit)") } == expected)
        }
        let overlapping =
          "FROM runs a JOIN runs b ON a.id <> b.id AND a.started <= b.started AND b.started < a.ended AND a.hook <> '99-fence' AND b.hook <> '99-fence'"
        #expect(try follow.sql("SELECT count(*) \(overlapping) AND a.unit = b.unit") == ["0"])
        #expect(try follow.sql("SELECT count(*) > 0 \(overlapping)") == ["1"])
        // Never more than two at once.
        #expect(try follow.sql("SELECT max(n) FROM (SELECT count(*) AS n \(overlapping) GROUP BY b.id)") == ["1"])
        try follow.stop()

        // Without a limit all three units at once; Parallel=yes waits for nobody.
        try slow("70-p", "Parallel=yes")
        try box.sh(#"systemctl stop 'work@*'"#)
        try follow.start()
        try follow.settle()
        let last = try follow.sql("SELECT max(id) FROM runs")[0]
        try box.sh("systemctl start work@{4,5,6}")
        try follow.settle()
        #expect(
          try follow.sql(
            """
            SELECT count(DISTINCT a.unit) FROM runs a WHERE a.id > \(last) AND a.hook = '50-a' AND a.started <
            (SELECT min(ended) FROM runs WHERE id > \(last) AND hook = '50-a')
            """) == ["3"])
        #expect(
          try follow.sql(
            """
            SELECT count(*) FROM runs p JOIN runs a ON a.unit = p.unit AND a.hook = '50-a' WHERE p.id > \(last) AND a.id > \(last)
            AND p.hook = '70-p' AND p.started < a.ended
            """) == ["3"])
      }
    }
  }
}
