import Testing

extension SystemTests {
  /// Scripts are run from a copy of what was checked.
  @Suite(.box) struct ScriptTests {
    @Test func `a script that is overwritten while it runs goes on in its old text`() throws {
      try Follow.use { follow in
        let (box, match) = (follow.box, "Unit=work@a.service\nEvent=started")
        func body(_ name: String) -> String {
          "echo \(name) begin >>\(follow.log); until [ -e \(follow.directory)/go ]; do sleep 0.05; done; echo \(name) end >>\(follow.log)"
        }
        try follow.hook("40-script", match: match, body: body("script"))
        let condition = "\(follow.directory)/condition"
        try box.put("#!/bin/sh\n\(body("condition"))\n", condition, mode: "0755")
        try follow.file(
          "50-condition.hook", "[Match]\n\(match)\n[Hook]\nParallel=yes\nExecCondition=\(condition)\nExec=/bin/true\n")
        try follow.start()
        try box.sh("systemctl start work@a")
        try box.wait(until: #"[[ $(grep -c begin "$1") == 2 ]]"#, follow.log)
        // In place, as cp does.
        try box.sh(
          #"""
          { echo "#!/bin/sh"; yes "echo overwritten >>$1" | head -n 100; } >"$2/new"
          for file in "$2/condition" "$3/40-script"; do cat "$2/new" >"$file"; done
          touch "$2/go"
          """#, follow.log, follow.directory, follow.hooks)
        try follow.settle()
        #expect(
          Set(try follow.logged()) == ["script begin", "script end", "condition begin", "condition end"])
        #expect(
          try follow.runs(where: "unit = 'work@a.service'").map(\.state) == ["succeeded", "succeeded"])
      }
    }

    @Test func `an error in a script names the script, whoever it runs as`() throws {
      try Follow.use { follow in
        for (name, user) in [("40-root", ""), ("50-nobody", "User=nobody")] {
          try follow.hook(name, match: "Unit=work@a.service\nEvent=started", hook: user, body: "id -un\nnosuchcommand")
        }
        // Whoever may not execute the file may not execute its copy.
        try follow.hook(
          "60-refused", match: "Unit=work@a.service\nEvent=started", hook: "User=nobody", body: "echo it ran")
        try follow.box.sh(#"chmod 700 "$1/60-refused""#, follow.hooks)
        try follow.start()
        try follow.box.sh("systemctl start work@a")
        try follow.settle()
        for (name, user) in [("40-root", "root"), ("50-nobody", "nobody")] {
          let lines = try follow.box.sh(
            #"journalctl -q -o cat SYSLOG_IDENTIFIER="$1" _PID="$2" | grep -v ^Hook"#, name, follow.pid
          ).lines
          #expect(lines.first == user)
          #expect(lines.last?.contains("\(follow.hooks)/\(name): ") == true, "\(lines)")
          #expect(lines.last?.contains("nosuchcommand: not found") == true, "\(lines)")
        }
        #expect(
          try follow.sql(
            "SELECT state, reason LIKE 'cannot execute it: Permission denied%' FROM runs WHERE hook = '60-refused'")
            == ["failed|1"])
      }
    }
  }
}
